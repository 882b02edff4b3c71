"""What a connection's options ask of TLS: what is encrypted is verified, unless they say otherwise in so many words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from upkeep import libpq, tls
from upkeep.connections import parse
from upkeep.engines import Address
from upkeep.errors import ConfigurationError, UnreachableError
from upkeep.mongo import protection as mongo
from upkeep.redis import connection as redis
from upkeep.tidb import protection as tidb

FULL = "TLS, the server's certificate and name are verified"
UNNAMED = "TLS, the server's certificate is verified, its name is not"
NOT = "TLS, not verified: whoever stands between could pass for the server"
CA = Path(__file__)
"""Any file that is there: what is in it is the driver's to say."""


def of_tidb(address: Address) -> str:
    how = tidb.wanted(address)
    return how.protection if isinstance(how, tls.Tls) else "what the server offers" if how else tls.PLAIN


@pytest.mark.parametrize(
    ("how", "uri", "protects"),
    [
        (of_tidb, "tidb://h/d", "what the server offers"),
        (of_tidb, "tidb://h/d?ssl=true", FULL),
        (of_tidb, f"tidb://h/d?ssl_ca={CA}", FULL),
        (of_tidb, f"tidb://h/d?ssl_ca={CA}&ssl_verify_identity=false", UNNAMED),
        (of_tidb, f"tidb://h/d?ssl_ca={CA}&ssl_verify_cert=false", NOT),
        (of_tidb, "tidb://h/d?ssl_verify_identity=true", FULL),
        (of_tidb, "tidb://h/d?ssl_mode=verify_ca", UNNAMED),
        (of_tidb, "tidb://h/d?ssl_mode=REQUIRED", NOT),
        (of_tidb, f'{{"conn_type": "mysql", "host": "h", "extra": {{"ssl": {{"ca": "{CA}"}}}}}}', FULL),
        (of_tidb, '{"conn_type": "mysql", "host": "h", "extra": {"ssl": {"ca": null}}}', FULL),
        (of_tidb, "tidb://h/d?ssl_disabled=true", tls.PLAIN),
        (of_tidb, "tidb://h/d?ssl=false&ssl_mode=PREFERRED&ssl_verify_cert=false", tls.PLAIN),
        (of_tidb, "tidb:///d?unix_socket=/run/x&ssl=true", tls.PLAIN),
        (redis.protection, "redis://h/0", tls.PLAIN),
        (redis.protection, "rediss://h/0", FULL),
        (redis.protection, "redis://h/0?ssl=True", FULL),
        (redis.protection, f"redis://h/0?ssl_ca_certs={CA}", FULL),
        (redis.protection, "rediss://h/0?ssl_check_hostname=false", UNNAMED),
        (redis.protection, "rediss://h/0?ssl_cert_reqs=none", NOT),
        (redis.protection, "redis://h/0?ssl=false&ssl_cert_reqs=required&ssl_ca_certs=", tls.PLAIN),
        (redis.protection, "unix:///run/x", tls.SOCKET),
        (redis.protection, '{"conn_type": "redis", "host": "h", "extra": {"ssl": true, "ssl_cert_reqs": ""}}', FULL),
        (redis.protection, '{"conn_type": "redis", "host": "h", "extra": {"ssl": "", "ssl_ca_certs": ""}}', tls.PLAIN),
        (mongo.of, '{"conn_type": "mongo", "host": "h", "extra": {"tls": "", "tlsCAFile": ""}}', tls.PLAIN),
        (mongo.of, "mongodb://h/d", tls.PLAIN),
        (mongo.of, "mongodb://h/d?tls=true", FULL),
        (mongo.of, f"mongodb://h/d?tlsCAFile={CA}", FULL),
        (mongo.of, '{"conn_type": "mongo", "host": "h", "extra": {"ssl": true, "allow_insecure": true}}', NOT),
        (mongo.of, '{"conn_type": "mongo", "host": "h", "extra": {"ssl": true, "allow_insecure": false}}', FULL),
        (mongo.of, "mongodb://h/d?tls=true&tlsAllowInvalidHostnames=true", UNNAMED),
        (mongo.of, "mongodb://h/d?tls=true&tlsInsecure=true", NOT),
        (mongo.of, "mongodb://h/d?tlsInsecure=true", NOT),
        (mongo.of, "mongodb://h/d?TLSAllowInvalidCertificates=true", NOT),
        (mongo.of, "mongodb://h/d?tlsAllowInvalidHostnames=true", UNNAMED),
        (mongo.of, '{"conn_type": "mongo", "host": "h", "extra": {"ssl": true, "tls": null}}', FULL),
        (mongo.of, f"mongodb://h/d?tlsCAFile={CA}&allow_insecure=true", FULL),
        (mongo.of, "mongodb://h/d?ssl=true&tls=null", FULL),
        (mongo.of, "mongodb+srv://h.example.net/d?tlsInsecure=null", FULL),
        (mongo.of, "mongodb://h/d?tls=false", tls.PLAIN),
        (mongo.of, "mongodb+srv://h.example.net/d", FULL),
        (lambda a: libpq.options(a).get("sslmode", ""), f"postgres://h/d?sslrootcert={CA}", "verify-full"),
        (lambda a: libpq.options(a).get("sslmode", ""), "postgres://h/d?sslrootcert=system", "verify-full"),
        (lambda a: libpq.options(a).get("sslmode", ""), f"postgres://h/d?sslrootcert={CA}&sslmode=require", "require"),
    ],
)
def test_what_is_encrypted_is_verified_unless_written_otherwise(
    how: Callable[[Address], str], uri: str, protects: str
) -> None:
    assert how(parse("c", uri)) == protects


@pytest.mark.parametrize(
    ("how", "uri", "says"),
    [
        (libpq.options, "postgres://h/d?sslca=/x", "there is no option sslca; those for TLS: ssl_max"),
        (libpq.options, "postgres://h/d?ssl=true", "there is no option ssl"),
        (tidb.wanted, "tidb://h/d?tls=true", "there is no option tls"),
        (tidb.wanted, "tidb://h/d?ssl_mode=VERIFY", "write one of DISABLED"),
        (tidb.wanted, "tidb://h/d?ssl={", "ssl is no JSON"),
        (
            tidb.wanted,
            f"tidb://h/d?ssl=false&ssl_ca={CA}",
            "says two things at once: ssl=false, and ssl_ca, which asks for TLS; leave ssl=false out, or ssl_ca for a",
        ),
        (tidb.wanted, f"tidb://h/d?ssl_disabled=true&ssl_cert={CA}", "ssl_disabled, and ssl_cert, which"),
        (tidb.wanted, "tidb://h/d?ssl_mode=disabled&ssl=true&ssl_verify_cert=1", "DISABLED, and ssl and ssl_verify_"),
        (tidb.wanted, "tidb://h/d?ssl=false&ssl_mode=REQUIRED", "ssl=false, and ssl_mode, which"),
        (
            tidb.wanted,
            '{"conn_type": "mysql", "host": "h", "extra": {"ssl": {"ca": null, "check_hostname": false}}}',
            "ssl has no 'check_hostname'; it takes ca, cert, key; for more write ssl, ssl_ca",
        ),
        (redis.wanted, "rediss://h/0?ssl=false", "says two things at once: ssl=false, and rediss://, which"),
        (redis.wanted, f"redis://h/0?ssl=off&ssl_ca_certs={CA}", "ssl=false, and ssl_ca_certs, which"),
        (redis.wanted, "rediss://h/0?ssl_ca=/x", "there is no option ssl_ca"),
        (redis.wanted, "rediss://h/0?ssl_cert_reqs=optional", "write required or none"),
        (mongo.driver_options, "mongodb://h/d?tls=false&ssl=true", "tls=false, and ssl, which"),
        (mongo.driver_options, f"mongodb://h/d?TLS=false&tlsCAFile={CA}", "tls=false, and tlsCAFile, which"),
        (mongo.driver_options, "mongodb://h/d?tls=maybe", "write true or false"),
    ],
)
def test_what_would_protect_nothing_is_refused(how: Callable[[Address], object], uri: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        how(parse("c", uri))
    assert says in str(caught.value)


def test_mongodbs_driver_is_told_of_tls_that_it_would_not_take_for_a_wish() -> None:
    told = mongo.driver_options(parse("c", "mongodb://h/d?tlsInsecure=true"))
    assert told == {"tls": True, "tlsInsecure": True}
    assert mongo.driver_options(parse("c", "mongodb://h/d?tls=null")) == {}


def test_nothing_asks_for_the_password_of_a_key_at_a_terminal() -> None:
    assert redis.driver_options(parse("c", f"rediss://h/0?ssl_certfile={CA}"))["ssl_password"] == ""


def test_a_key_may_be_in_an_engine() -> None:
    assert libpq.options(parse("c", "postgres://h/d?sslkey=pkcs11:7"))["sslkey"] == "pkcs11:7"


@pytest.mark.parametrize(
    ("how", "uri"),
    [
        (libpq.options, "postgres://h/d?sslrootcert=/nowhere.pem"),
        (tidb.wanted, "tidb://h/d?ssl_ca=/nowhere.pem"),
        (mongo.driver_options, "mongodb://h/d?tlsCAFile=/nowhere.pem"),
        (redis.wanted, "rediss://h/0?ssl_ca_certs=/nowhere.pem"),
    ],
)
def test_a_file_that_is_not_there_is_told_alike(how: Callable[[Address], object], uri: str) -> None:
    with pytest.raises(UnreachableError, match=r"names /nowhere\.pem, which is not on this machine"):
        how(parse("c", uri))
