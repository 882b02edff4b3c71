// The least that Upkeep needs on a MongoDB that it takes care of, job by job: leave out the jobs that it does not run
// there. Run it as an administrator (mongosh … target.js) with `app` replaced by your database, `archive` by the
// collections that `into:` names, `series` by time series in care; "" is every collection of a database that is not the
// server's own, and a name in its place is less. Then make the user, with the password asked for:
//   db.getSiblingDB("admin").createUser({user: "upkeep", pwd: passwordPrompt(), roles: ["upkeep"]})

// always: what there is; whose set it is, by which backups and leases know a database again; how far its members are
// behind, and which transactions are open: without these three the gates know only what `hello` tells everybody.
db.getSiblingDB("admin").runCommand({
  "createRole": "upkeep",
  "roles": [],
  "privileges": [
    {"resource": {"db": "app", "collection": ""}, "actions": ["find", "listCollections", "listIndexes", "dbStats"]},
    {"resource": {"cluster": true}, "actions": ["replSetGetConfig", "replSetGetStatus", "inprog"]}
  ]
})

// partition_creation: collections, their rules and indexes; the last three are for `upkeep undo`, of what is empty yet.
db.getSiblingDB("admin").runCommand({
  "grantPrivilegesToRole": "upkeep",
  "privileges": [
    {"resource": {"db": "app", "collection": ""}, "actions": ["createCollection", "createIndex", "collMod"]},
    {"resource": {"db": "app", "collection": ""}, "actions": ["dropIndex", "dropCollection", "renameCollectionSameDB"]}
  ]
})

// data_retention: deleting; `$merge` into an archive asks for update too, although no document there is ever changed;
// the expiry of a time series is one of its options, and getParameter tells whether the server carries it out.
db.getSiblingDB("admin").runCommand({
  "grantPrivilegesToRole": "upkeep",
  "privileges": [
    {"resource": {"db": "app", "collection": ""}, "actions": ["remove"]},
    {"resource": {"db": "app", "collection": "archive"}, "actions": ["insert", "update"]},
    {"resource": {"db": "app", "collection": "series"}, "actions": ["collMod"]},
    {"resource": {"cluster": true}, "actions": ["getParameter"]}
  ]
})

// health_check: what the server and its set tell of themselves, the ends of the oplog, the disk; no collection of yours.
db.getSiblingDB("admin").runCommand({
  "grantPrivilegesToRole": "upkeep",
  "privileges": [
    {"resource": {"cluster": true}, "actions": ["serverStatus", "replSetGetStatus", "replSetGetConfig"]},
    {"resource": {"db": "local", "collection": "oplog.rs"}, "actions": ["find", "collStats"]},
    {"resource": {"db": "admin", "collection": ""}, "actions": ["dbStats"]}
  ]
})

// ttl_verification: whether the TTL monitor is on, and passes.
db.getSiblingDB("admin").runCommand({
  "grantPrivilegesToRole": "upkeep",
  "privileges": [{"resource": {"cluster": true}, "actions": ["getParameter", "serverStatus"]}]
})

// index_analysis: sizes and uses of indexes, shard keys; hiding an index is an option of its collection.
db.getSiblingDB("admin").runCommand({
  "grantPrivilegesToRole": "upkeep",
  "privileges": [
    {"resource": {"db": "app", "collection": ""}, "actions": ["collStats", "indexStats", "collMod"]},
    {"resource": {"db": "config", "collection": "cache.collections"}, "actions": ["find"]}
  ]
})

// backup: what "" leaves out: the documents of time series, functions; and how long the server keeps a snapshot.
db.getSiblingDB("admin").runCommand({
  "grantPrivilegesToRole": "upkeep",
  "privileges": [
    {"resource": {"db": "app", "system_buckets": ""}, "actions": ["find"]},
    {"resource": {"db": "app", "collection": "system.js"}, "actions": ["find", "listIndexes"]},
    {"resource": {"cluster": true}, "actions": ["getParameter"]}
  ]
})
