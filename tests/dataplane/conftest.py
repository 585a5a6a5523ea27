"""A mesh of real Envoys on loopback for each test that asks for one."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from loopback_mesh import Mesh


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with Mesh() as mesh:
        yield mesh


@pytest.fixture
async def bookshop(mesh: Mesh) -> Mesh:
    """bookbuyer and bookthief call bookstore, which has two versions of one identity."""
    for client in ("bookbuyer", "bookthief"):
        await mesh.pod(client, app=False)
    for version in ("v1", "v2"):
        await mesh.pod(f"bookstore-{version}", "bookstore")
        mesh.service(f"bookstore/bookstore-{version}", f"bookstore-{version}")
    mesh.service("bookstore/bookstore", "bookstore-v1", "bookstore-v2")
    await mesh.push()
    return mesh
