"""What do Envoy's short words for what went wrong mean?"""

from __future__ import annotations

import pytest

from meshlab.dataplane.envoy.flags import meaning


@pytest.mark.parametrize(
    ("flags", "details", "said"),
    [
        ((), "", ""),
        (("UH",), "no_healthy_upstream", "no healthy pod is behind the Service"),
        (("UF", "URX"), "upstream_reset", "the caller's proxy could not connect to the server's"),
        (("RL",), "local_rate_limited", "the limit on requests per time was reached"),
        ((), "rbac_access_denied_matched_policy[none]", "no policy admits the request"),
        (("XYZ",), "", "the proxy says XYZ"),
    ],
)
def test_flags_and_details_become_a_sentence(flags: tuple[str, ...], details: str, said: str):
    assert said in meaning(flags, details)
    assert bool(said) == bool(meaning(flags, details))
