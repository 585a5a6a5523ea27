"""Files that change without ever being half written, tokens that are renewed in time, mounts that harm nothing."""

from __future__ import annotations

import asyncio

import pytest

from meshlab.cluster.embedded.node.volumes import CREDENTIALS, Volumes


class Source:
    """Stands in for the API: a ConfigMap that can be changed, tokens that live as long as told."""

    def __init__(self, lifetime=3600.0):
        self.content = {"a": b"one", "b": b"one"}
        self.lifetime = lifetime
        self.tokens = 0

    async def config_map(self, namespace, reference):
        return self.content

    async def token(self, pod, audience, seconds):
        self.tokens += 1
        return f"{audience}-{self.tokens}", self.lifetime

    async def account(self, pod):
        return {}


def pod(*volumes):
    spec = {"containers": [{"name": "c"}], "volumes": list(volumes), "automountServiceAccountToken": False}
    return {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec}


FILES = {"name": "v", "configMap": {"name": "files"}}
TOKEN = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "me"}}]}}


async def test_a_reader_never_sees_files_of_two_versions(tmp_path):
    source = Source()
    volumes = Volumes(source, pod(FILES), tmp_path)
    await volumes.prepare()
    inside = (tmp_path / "v" / "..data").resolve()
    source.content = {"a": b"two", "c": b"two"}
    await volumes.refresh(pod(FILES))
    assert sorted(path.name for path in (tmp_path / "v").iterdir() if not path.name.startswith("..")) == ["a", "c"]
    assert (tmp_path / "v" / "a").read_bytes() == b"two"
    assert not inside.exists()
    now = (tmp_path / "v" / "..data").resolve()
    await volumes.refresh(pod(FILES))
    assert (tmp_path / "v" / "..data").resolve() == now, "nothing changed, so nothing is written"


async def test_a_token_is_renewed_well_before_it_ends(tmp_path):
    source = Source(lifetime=0.1)
    volumes = Volumes(source, pod(TOKEN), tmp_path)
    await volumes.prepare()
    path = tmp_path / "t" / "token"
    assert path.read_text() == "me-1"
    assert path.stat().st_mode & 0o777 == 0o600
    keeping = asyncio.create_task(volumes.keep_tokens_fresh())
    async with asyncio.timeout(5):
        while path.read_text() == "me-1":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    keeping.cancel()


async def test_what_one_mounts_inside_another_is_found_and_nothing_of_the_machine_is_removed(tmp_path):
    precious = tmp_path / "home" / "sub"
    precious.mkdir(parents=True)
    (precious / "thesis").write_text("years of work")
    host = {"name": "h", "hostPath": {"path": str(precious.parent)}}
    volumes = Volumes(Source(), pod(host, {"name": "e", "emptyDir": {}}), tmp_path / "volumes")
    await volumes.prepare()
    mounts = [{"name": "h", "mountPath": "/data"}, {"name": "e", "mountPath": "/data/sub"}]
    with pytest.raises(OSError, match="not empty"):
        volumes.mount({"name": "c", "volumeMounts": mounts}, tmp_path / "root")
    volumes.mount({"name": "c", "volumeMounts": mounts[:1]}, tmp_path / "root")
    volumes.mount({"name": "c", "volumeMounts": mounts[:1]}, tmp_path / "root")
    assert (tmp_path / "root" / "data" / "sub" / "thesis").read_text() == "years of work"


async def test_an_account_is_mounted_even_if_the_server_did_not_ask_for_it(tmp_path):
    wishing = pod()
    del wishing["spec"]["automountServiceAccountToken"]
    wishing["spec"]["serviceAccountName"] = "default"
    source = Source()
    source.content = {"ca.crt": b"CA"}
    volumes = Volumes(source, wishing, tmp_path / "volumes")
    await volumes.prepare()
    volumes.mount({"name": "c"}, tmp_path / "root")
    folder = tmp_path / "root" / CREDENTIALS.strip("/")
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith(".."))
    assert names == ["ca.crt", "namespace", "token"]
    assert (folder / "namespace").read_text() == "n"
