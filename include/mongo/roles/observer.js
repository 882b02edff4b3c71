// For `mode: observe`: may change nothing. Leave out the jobs that Upkeep does not run there, and run it as an
// administrator (mongosh … observer.js) with `app` replaced by your database; then make the user:
//   db.getSiblingDB("admin").createUser({user: "upkeep_observer", pwd: passwordPrompt(), roles: ["upkeep_observer"]})

// always: what there is; whose set it is, how far its members are behind, which transactions are open.
db.getSiblingDB("admin").runCommand({
  "createRole": "upkeep_observer",
  "roles": [],
  "privileges": [
    {"resource": {"db": "app", "collection": ""}, "actions": ["find", "listCollections", "listIndexes", "dbStats"]},
    {"resource": {"cluster": true}, "actions": ["replSetGetConfig", "replSetGetStatus", "inprog"]}
  ]
})

// health_check: what the server and its set tell of themselves, the ends of the oplog, the disk; no collection of yours.
db.getSiblingDB("admin").runCommand({
  "grantPrivilegesToRole": "upkeep_observer",
  "privileges": [
    {"resource": {"cluster": true}, "actions": ["serverStatus", "replSetGetStatus", "replSetGetConfig"]},
    {"resource": {"db": "local", "collection": "oplog.rs"}, "actions": ["find", "collStats"]},
    {"resource": {"db": "admin", "collection": ""}, "actions": ["dbStats"]}
  ]
})

// data_retention: whether the server carries out the expiry of time series.
db.getSiblingDB("admin").runCommand({
  "grantPrivilegesToRole": "upkeep_observer",
  "privileges": [{"resource": {"cluster": true}, "actions": ["getParameter"]}]
})

// ttl_verification: whether the TTL monitor is on, and passes.
db.getSiblingDB("admin").runCommand({
  "grantPrivilegesToRole": "upkeep_observer",
  "privileges": [{"resource": {"cluster": true}, "actions": ["getParameter", "serverStatus"]}]
})

// index_analysis: sizes and uses of indexes, shard keys.
db.getSiblingDB("admin").runCommand({
  "grantPrivilegesToRole": "upkeep_observer",
  "privileges": [
    {"resource": {"db": "app", "collection": ""}, "actions": ["collStats", "indexStats"]},
    {"resource": {"db": "config", "collection": "cache.collections"}, "actions": ["find"]}
  ]
})
