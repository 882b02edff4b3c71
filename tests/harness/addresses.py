"""Forms of connections, and what they mean: the same outside Airflow, and through it."""

from typing import Any, Final

SECRET: Final = "@:/?#%[] \"'\\é€&=+"
ENCODED: Final = "%40%3A%2F%3F%23%25%5B%5D%20%22%27%5C%C3%A9%E2%82%AC%26%3D%2B"
Meaning = tuple[str, int | None, str, str, str, dict[str, str]]
"""Host, port, user, password, database, options."""

FORMS: Final[list[tuple[str, Meaning]]] = [
    (
        "postgres://u:p@db.example:6432/shop?sslmode=require",
        ("db.example", 6432, "u", "p", "shop", {"sslmode": "require"}),
    ),
    ("postgresql://u:p@db.example/shop", ("db.example", None, "u", "p", "shop", {})),
    (f"postgres://u%40x:{ENCODED}@h/a%20b%2F%25", ("h", None, "u@x", SECRET, "a b/%", {})),
    (f"tidb://u:{ENCODED}@h:4000/a%60b", ("h", 4000, "u", SECRET, "a`b", {})),
    (f"mongodb://u:{ENCODED}@h/shop?tls=true", ("h", None, "u", SECRET, "shop", {"tls": "true"})),
    (f"redis://:{ENCODED}@h:6379/3", ("h", 6379, "", SECRET, "3", {})),
    ("postgres://u:@h/d", ("h", None, "u", "", "d", {})),
    ("postgres://u:p@[::1]:5433/d", ("::1", 5433, "u", "p", "d", {})),
    ("redis://[fe80::2]/0", ("fe80::2", None, "", "", "0", {})),
    ("postgres://u:p@%2Fvar%2FRun%2Fpg/d", ("/var/Run/pg", None, "u", "p", "d", {})),
    ("postgresql:///d?host=/var/Run/pg&port=5433", ("/var/Run/pg", 5433, "", "", "d", {})),
    ("postgresql:///?host=/run&dbname=d&user=u&password=p", ("/run", None, "u", "p", "d", {})),
    ("mongodb://u:p@%2Ftmp%2FMongo-27017.sock/d", ("/tmp/Mongo-27017.sock", None, "u", "p", "d", {})),  # noqa: S108
    ("tidb://u:p@/d?unix_socket=/tmp/tidb.sock", ("/tmp/tidb.sock", None, "u", "p", "d", {})),  # noqa: S108
    ("unix:///run/Redis.sock?db=2", ("/run/Redis.sock", None, "", "", "2", {})),
    ("redis://h:6379?db=2&ssl=true", ("h", 6379, "", "", "2", {"ssl": "true"})),
    ("rediss://u:p@h:6380/1?ssl_cert_reqs=none", ("h", 6380, "u", "p", "1", {"ssl_cert_reqs": "none"})),
    (
        "postgres://u:p@a%3A5432%2C%5B%3A%3A1%5D%3A5433/d?target_session_attrs=read-write",
        ("a:5432,[::1]:5433", None, "u", "p", "d", {"target_session_attrs": "read-write"}),
    ),
    ("postgres://u:p@a,b/d", ("a,b", None, "u", "p", "d", {})),
    ("postgres://u:p@/d?host=a,b&port=5433", ("a:5433,b:5433", None, "u", "p", "d", {})),
    (
        "mongodb://u:p@a%3A27017%2Cb%3A27018/d?replicaSet=r",
        ("a:27017,b:27018", None, "u", "p", "d", {"replicaSet": "r"}),
    ),
    ("mongodb://u:p@a:27017,b:27018/d?replicaSet=r", ("a:27017,b:27018", None, "u", "p", "d", {"replicaSet": "r"})),
    ("mongodb+srv://u:p@cluster.example.net/d", ("cluster.example.net", None, "u", "p", "d", {})),
    (
        '{"conn_type": "postgres", "host": "a:1,b:2", "login": "u", "password": "p", "extra": {"connect_timeout": 3}}',
        ("a:1,b:2", None, "u", "p", "", {"connect_timeout": "3"}),
    ),
    ('{"conn_type": "redis", "host": "h", "port": 6379, "extra": "{\\"db\\": 4}"}', ("h", 6379, "", "", "4", {})),
    (
        '{"conn_type": "redis", "host": "h", "extra": {"db": null, "ssl": true, "ssl_ca_certs": null}}',
        ("h", None, "", "", "", {"ssl": "true"}),
    ),
    ('{"conn_type": "tidb", "host": "h", "extra": {"unix_socket": null}}', ("h", None, "", "", "", {})),
    (
        '{"conn_type": "unix", "host": "/run/Redis.sock", "extra": {"db": 2}}',
        ("/run/Redis.sock", None, "", "", "2", {}),
    ),
    ('{"conn_type": "postgres", "host": "[::1]", "port": 5433}', ("::1", 5433, "", "", "", {})),
    ('{"conn_type": "mongo", "host": "a,b", "port": 27018}', ("a:27018,b:27018", None, "", "", "", {})),
]
REFUSED: Final = [
    ("redis://h:6379/0?db=3", "names its database twice: '0' and '3'; leave one of them out"),
    ("postgres://u:p@a/d?host=b", "names its host twice: 'a' and 'b'"),
    ("redis://a:1,b:2/0", "names several hosts; write the one to be worked on"),
    ("tidb://u:p@a,b/d", "names several hosts"),
    ("postgres://u:p@a:5432,[::1]:5433/d", "special characters percent-encoded"),
    ("postgres://u:hush#1@h/d", "special characters percent-encoded"),
    ("postgres://u:12/hush@h/d", "special characters percent-encoded"),
    ("postgres://u:12?hush@h/d", "special characters percent-encoded"),
    ("postgres://u:12?x=1&hush@h/d?sslmode=require", "special characters percent-encoded"),
    ("postgres://u:hush[@h/d", "special characters percent-encoded"),
]


def meaning(address: Any) -> Meaning:
    """Return what an address means."""
    known = (address.host, address.port, address.user, address.password, address.database)
    return (*known, dict(address.options))
