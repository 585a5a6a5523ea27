"""SMI HTTPRouteGroup, rule by rule, with real proxies. The numbers are those of docs/smi.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.smi.policies import group, http, target

if TYPE_CHECKING:
    from tests.smi.conftest import Smi

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def admitted(smi: Smi, *requests: dict[str, Any]) -> list[bool]:
    """Whether the till may make each of these requests."""
    answers = [await smi.ask("till", "prices-v1", **request) for request in requests]
    assert {answer[:3] for answer in answers} <= {"200", "403"}, answers
    return [answer.startswith("200") for answer in answers]


async def rules(smi: Smi, **matches: dict[str, Any]) -> None:
    """Allow the till what these matches say, and nothing else."""
    await smi.apply(group("routes", **matches), target("readers", http("routes")))


async def test_h1_http_1_and_2_and_grpc_are_asked_the_same(smi: Smi) -> None:
    await rules(smi, read={"pathRegex": "/prices[.]Prices/Read", "methods": ["POST"]})
    assert await smi.ask("till", "prices-v1", 7085, "/prices.Prices/Read", kind="grpc") == "v1"
    assert await smi.ask("till", "prices-v1", 7085, "/prices.Prices/Write", kind="grpc") == "PERMISSION_DENIED"
    wanted = {"method": "POST", "path": "/prices.Prices/Read"}
    assert await admitted(smi, wanted, {**wanted, "method": "GET"}) == [True, False]


async def test_h2_patterns_begin_where_the_path_begins(smi: Smi) -> None:
    await rules(smi, read={"pathRegex": "/prices"})
    assert await admitted(smi, {"path": "/prices"}, {"path": "/old/prices"}) == [True, False]


async def test_h3_and_end_where_it_ends_without_the_query(smi: Smi) -> None:
    await rules(smi, read={"pathRegex": "/prices"})
    paths = ("/prices?currency=EUR", "/prices/7", "/pricesx", "/x/../prices", "/prices/../x")
    assert await admitted(smi, *({"path": path} for path in paths)) == [True, False, False, True, False]


async def test_h4_an_asterisk_means_any_method(smi: Smi) -> None:
    await rules(smi, read={"pathRegex": "/prices", "methods": ["*"]})
    methods = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH")
    assert all(await admitted(smi, *({"method": method} for method in methods)))


async def test_h5_what_is_not_said_is_not_asked(smi: Smi) -> None:
    await rules(smi, night={"headers": {"x-shift": "night"}})
    headers = {"x-shift": "night"}
    assert await admitted(smi, {"headers": headers, "path": "/any", "method": "PUT"}, {}) == [True, False]


@pytest.mark.parametrize(
    "headers", [[{"x-shift": "night"}, {"x-till": "[0-9]+"}], {"x-shift": "night", "x-till": "[0-9]+"}]
)
async def test_h6_headers_are_a_list_of_maps_or_one_map(smi: Smi, headers: Any) -> None:
    await rules(smi, night={"headers": headers})
    both = {"x-shift": "night", "x-till": "7"}
    assert await admitted(smi, {"headers": both}, {"headers": {"x-shift": "night"}}) == [True, False]


async def test_h7_all_headers_of_a_match_and_any_match_must_hold(smi: Smi) -> None:
    await rules(smi, one={"headers": {"a": "1", "b": "2"}}, other={"headers": {"c": "3"}})
    asked = ({"a": "1", "b": "2"}, {"a": "1"}, {"b": "2"}, {"c": "3"}, {"a": "1", "c": "3"}, {})
    assert await admitted(smi, *({"headers": one} for one in asked)) == [True, False, False, True, True, False]


async def test_h8_values_are_patterns_and_what_is_absent_does_not_match(smi: Smi) -> None:
    await rules(smi, one={"headers": {"x-till": "[0-9]*"}})
    asked = ({"x-till": "77"}, {"x-till": "77x"}, {"x-till": "x"}, {})
    assert await admitted(smi, *({"headers": one} for one in asked)) == [True, False, False, False]


async def test_h9_names_compare_without_case_and_host_is_the_authority(smi: Smi) -> None:
    await rules(smi, one={"headers": {"X-Shift": "night", "Host": "prices-v1.*"}})
    headers = {"x-SHIFT": "night"}
    assert await admitted(smi, {"headers": headers}, {"headers": {**headers, "host": "other"}}) == [True, False]


async def test_h10_path_method_and_headers_must_all_hold(smi: Smi) -> None:
    await rules(smi, one={"pathRegex": "/prices", "methods": ["PUT"], "headers": {"x-shift": "night"}})
    whole = {"path": "/prices", "method": "PUT", "headers": {"x-shift": "night"}}
    others: tuple[dict[str, Any], ...] = ({"path": "/"}, {"method": "GET"}, {"headers": {}})
    assert await admitted(smi, whole, *({**whole, **other} for other in others)) == [True, False, False, False]


async def test_a_header_beyond_ascii_is_matched_as_its_bytes_and_an_event_says_so(smi: Smi) -> None:
    await rules(smi, one={"headers": {"x-shift": "n\u00e4chtlich"}})
    asked = ({"x-shift": "n\u00e4chtlich"}, {"x-shift": "n\u00e4chtlic"}, {"x-shift": "\u591c"}, {"x-shift": "night"})
    assert await admitted(smi, *({"headers": one} for one in asked)) == [True, False, False, False]
    await smi.event("routes", "ML237", "letters beyond ASCII")
    said = await smi.refused(group("routes", one={"headers": {"x-sch\u00efcht": "night"}}))
    assert "ML236 HTTPRouteGroup smi/routes: spec.matches[0].headers" in said
