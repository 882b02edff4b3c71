"""What ``warm:`` may say: each mistake is named with file, line, key and remedy."""

from __future__ import annotations

import pytest

from upkeep import fleet
from upkeep.errors import ConfigurationError
from upkeep.fleet.policies.warm import WarmPolicy

TEXT = """\
version: 1
targets:
  shop: {{engine: postgres, connection: shop}}
  cache:
    engine: {engine}
    connection: cache
    warm:
      {name}:
        from: {source}
        query: {query}
        key: {key}
        ttl: {ttl}
        budget: {budget}
"""
RIGHT = {
    "engine": "redis",
    "name": "prices",
    "source": "shop",
    "query": "include/fleet.yaml",
    "key": "'price:{{x}}:{region}:{item}:{region}'",
    "ttl": "90 minutes",
    "budget": "64 MiB",
}


def test_what_is_right_is_read() -> None:
    target = fleet.parse(TEXT.format(**RIGHT)).target("cache")
    policy = WarmPolicy.of(target)
    assert policy is not None
    entry = policy.entries["prices"]
    assert (entry.from_, entry.columns, entry.seconds, entry.budget) == ("shop", ("region", "item"), 5400, 2**26)
    assert [*target.declared(["target.warm"])] == ["cache"]
    assert target.written()["warm"]["prices"]["ttl"] == "5400 seconds"


@pytest.mark.parametrize(
    ("key", "wrong", "line", "said"),
    [
        ("source", "nobody", 9, "no target 'nobody' in the fleet file; there are: shop, cache"),
        ("source", "cache", 9, "'cache' is on engine redis, of which no rows are read; name one on postgres"),
        ("query", "nowhere.sql", 10, "no file 'nowhere.sql' beside the fleet file or in"),
        ("key", "'price'", 11, "names no column, so all rows would have the same key"),
        ("key", "'{item}:price'", 11, "begins with a column, so any key could be meant"),
        ("key", "'upkeep:{item}'", 11, "begins with 'upkeep:', as Upkeep's own keys do"),
        ("key", "'price:{item!r}'", 11, "braces hold the name of a column and nothing else"),
        ("key", "'price:{}'", 11, "braces hold the name of a column and nothing else"),
        ("key", "'price:{item'", 11, "expected '}' before end of string; write e.g."),
        ("ttl", "1 month", 12, "'1 month' is no time to live; write e.g. '1 hour'"),
        ("ttl", "0 days", 12, "must be longer than nothing"),
        ("budget", "much", 13, "'much' is not a size; write e.g. '64 MiB'"),
        ("budget", "2 GiB", 13, "'2 GiB' is not possible: more than 0, at most 512 MiB"),
        ("name", "'a b'", 7, "'a b' is no name of an entry"),
        ("engine", "mongo", 7, "belongs to engine redis, not mongo"),
    ],
)
def test_what_is_wrong_is_named(key: str, wrong: str, line: int, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fleet.parse(TEXT.format(**(RIGHT | {key: wrong})))
    (only,) = str(caught.value).splitlines()
    assert only.startswith(f"fleet.yaml:{line}: targets.cache.warm")
    assert said in only


def test_an_unknown_key_of_an_entry_and_no_entry_at_all_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown key 'columns'"):
        fleet.parse(TEXT.format(**RIGHT) + "        columns: [a]\n")
    with pytest.raises(ConfigurationError, match="names nothing to warm"):
        fleet.parse(TEXT.format(**RIGHT).partition("warm:")[0] + "warm: {}\n")
