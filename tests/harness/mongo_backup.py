"""A MongoDB database with much that is odd in it, for its backups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.son import SON

LONG: Final = "long/" + "ü" * 80
NAMES: Final = ("a..b", "odd name+&%/ü", "a.b-c_d~", "quo\"te'; {x}", "new\nline", LONG)
STAMPED: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""So old that an expiry would take it at once."""


def make(db: Any) -> None:
    odd = [
        {"_id": MinKey(), "nan": float("nan"), "zero": -0.0, "inf": float("-inf"), "none": None},
        {"_id": ObjectId("6b09573f4ce69c2e6c6c693e"), "long": Int64(1), "double": 1.0, "int": 1, "no": {}, "list": []},
        {"_id": Decimal128("1.10"), "d": Decimal128("NaN"), "raw": Binary(b"\x00\xff", 128), "re": Regex("^a", "i")},
        {"_id": {"b": 1, "a": 2}, "ref": DBRef("x", 1), "code": Code("f()", {"a": 1}), "": "empty", "deep": deep(90)},
        {
            "_id": True,
            "ts": Timestamp(5, 6),
            "$dollar": 1,
            "a.b": 2,
            "max": MaxKey(),
            "at": datetime(1, 1, 1, tzinfo=UTC),
        },
        {"_id": "ü\x00", "big": "x" * 300_000},
    ]
    db.odd.insert_many(odd)
    db.odd.update_one({"_id": True}, [{"$set": {"empty": Timestamp(0, 0)}}])
    for name in NAMES:
        db.command({"insert": name, "documents": [{"_id": name}]})  # the driver's collections refuse some
    db.create_collection("empty")
    alike = {"at": STAMPED, "s": {"x": 1}}
    db.many.insert_many(
        [{"_id": n, "k": n % 7, "u": n, "t": f"word{n} other", "g": [n / 100, 1], **alike} for n in range(3000)]
    )
    db.many.create_index([("at", 1)], expireAfterSeconds=10**9, name="kept")
    old = {"key": {"u": -1.0, "k": Int64(1)}, "name": "of an old shell", "unique": True}
    db.command({"createIndexes": "many", "indexes": [old]})
    db.many.create_index([("k", 1)], partialFilterExpression={"u": {"$gt": 5}}, name="part", hidden=True)
    db.many.create_index([("t", "text"), ("k", 1)], weights={"t": 3}, default_language="german", name="words")
    db.many.create_index([("g", "2dsphere")], sparse=True)
    db.many.create_index([("_id", "hashed")])
    db.many.create_index([("s.$**", 1)])
    db.many.create_index([("t", 1)], collation={"locale": "de", "strength": 2}, name="folded")
    db.create_collection("capped", capped=True, size=100_000, max=50)
    db.capped.insert_many([{"n": n} for n in range(80)])
    db.create_collection("folding", collation={"locale": "fr", "strength": 1})
    db.folding.insert_many([{"_id": "a"}, {"_id": "b"}])
    rule = {"name": {"$regex": "^a", "$options": "i"}, "$jsonSchema": {"required": ["name"]}}
    db.strict.insert_one({"name": "other"})  # older than the rule
    db.command({"collMod": "strict", "validator": rule, "validationLevel": "moderate", "validationAction": "warn"})
    db.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True}, expireAfterSeconds=10**9)
    db.clustered.insert_many([{"_id": STAMPED + timedelta(days=n)} for n in range(5)])
    db.create_collection("images", changeStreamPreAndPostImages={"enabled": True})
    series = {"timeField": "at", "metaField": "of", "granularity": "minutes"}
    db.create_collection("series", timeseries=series, expireAfterSeconds=10**9)
    db.series.insert_many([{"at": STAMPED + timedelta(minutes=n), "of": n % 4, "v": n / 7} for n in range(400)])
    db.series.create_index([("of", 1), ("at", -1)], name="of_at")
    db["system.js"].insert_one({"_id": "f", "value": Code("function() { return 1 }")})
    db.command("create", "seen", viewOn="many", pipeline=[{"$match": {"t": {"$regex": "^w", "$options": "i"}}}])
    db.command(SON([("create", "above"), ("viewOn", "seen"), ("pipeline", [SON([("$sort", SON(b=1, a=-1))])])]))


def deep(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"end": None}
    for _ in range(levels):
        found = {"in": found}
    return found
