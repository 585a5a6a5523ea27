import socket

import pytest

from meshlab.cluster.embedded import addresses
from meshlab.errors import ClusterError

ALL = range(addresses.FIRST, addresses.LAST + 1)


def free_octet() -> int:
    """One that no lab on this machine holds now, found from the end."""
    for octet in reversed(ALL):
        try:
            with addresses.claim("probe", kept=octet):
                return octet
        except ClusterError:
            continue
    raise AssertionError("every block is taken")


def test_a_block_belongs_to_one_lab_until_it_ends() -> None:
    octet = free_octet()
    with addresses.claim("one", kept=octet) as block:
        assert block.octet == octet
        with pytest.raises(ClusterError) as refusal:
            addresses.claim("two", kept=octet)
        assert refusal.value.code == "ML117"
    with addresses.claim("two", kept=octet):
        pass


def test_a_new_lab_passes_over_taken_blocks() -> None:
    with addresses.claim("same", kept=None) as first, addresses.claim("same", kept=None) as second:
        assert first.octet != second.octet
        assert {first.octet, second.octet} <= set(ALL)


def test_a_new_lab_leaves_the_blocks_of_labs_that_are_down() -> None:
    octet = free_octet()
    with addresses.claim("new", kept=None, avoid=set(ALL) - {octet}) as block:
        assert block.octet == octet


def test_with_no_block_left_a_new_lab_is_refused() -> None:
    with pytest.raises(ClusterError) as refusal:
        addresses.claim("new", kept=None, avoid=ALL)
    assert refusal.value.code == "ML117"


def test_a_pod_can_listen_in_the_block_that_is_held() -> None:
    with addresses.claim("one", kept=free_octet()) as block, socket.socket() as pod:
        pod.bind((f"127.{block.octet}.0.2", 14001))
