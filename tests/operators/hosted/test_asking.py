"""What is sent, where the key goes, what is paid, and what the cache keeps."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.cli import main
from flowsynth.core.context import RunContext
from flowsynth.core.errors import FlowsynthError, GraphError, RequestError
from flowsynth.operators.hosted.hosted_image import HostedImage
from flowsynth.values import Frames
from tests.operators.hosted.vendor import KEY, Vendor, picture, png, refusal, words

needs_clients = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("openai", "google"))
    or importlib.util.find_spec("google.genai") is None,
    reason="NOT TESTED: openai and google-genai are not installed (extra hosted)",
)


def node(server: Vendor, **params: Any) -> dict[str, Any]:
    given = {"model": "painter-1", "prompt": "a cat", "price": 0.04, "base_url": server.address}
    return {"op": "hosted_image", "params": {**given, **params}}


def graph(**nodes: dict[str, Any]) -> fs.Graph:
    return fs.Graph.from_dict({"nodes": nodes, "outputs": list(nodes)})


@needs_clients
def test_what_is_sent_is_what_was_asked(vendor: Vendor) -> None:
    vendor.answers = [picture("openai")]
    options: dict[str, Any] = {"size": "1024x1024", "quality": "low"}
    HostedImage(model="painter-1", prompt="a cat", price=0.04, base_url=vendor.address, options=options).run(
        RunContext()
    )
    assert vendor.asked[-1].path == "/images/generations"
    assert vendor.asked[-1].json == {"model": "painter-1", "prompt": "a cat", "n": 1, **options}
    assert vendor.asked[-1].headers["authorization"] == f"Bearer {KEY}"
    vendor.answers = [picture("google")]
    HostedImage(
        vendor="google",
        model="painter-2",
        price=0.04,
        base_url=vendor.address,
        options={"aspect_ratio": "16:9", "seed": 3},
    ).run(RunContext(), text="a dog")
    assert vendor.asked[-1].path.endswith("/models/painter-2:generateContent")
    assert vendor.asked[-1].headers["x-goog-api-key"] == KEY
    config = vendor.asked[-1].json["generationConfig"]
    assert config == {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9"}, "seed": 3}
    assert vendor.asked[-1].json["contents"][0]["parts"] == [{"text": "a dog"}]


@needs_clients
@pytest.mark.parametrize("name", ["openai", "google"])
def test_pictures_go_along(vendor: Vendor, name: str) -> None:
    vendor.answers = [picture(name)]
    given = Frames(torch.full((2, 3, 8, 8), 77, dtype=torch.uint8))
    operator: dict[str, Any] = {"vendor": name, "model": "m", "prompt": "bluer", "price": 0}
    HostedImage(**operator, base_url=vendor.address).run(RunContext(), image=given)
    assert vendor.asked[-1].body.count(b"image/png") == 2
    assert name == "google" or vendor.asked[-1].path == "/images/edits"


@needs_clients
def test_a_key_goes_to_no_place_that_only_a_graph_names(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWSYNTH_HOSTED_URLS", f"{vendor.address}0, https://127.0.0.1")
    for name in ("openai", "google"):
        vendor.answers = [picture(name)]
        operator: dict[str, Any] = {"vendor": name, "model": "m", "prompt": "x", "price": 0}
        HostedImage(**operator, base_url=vendor.address).run(RunContext())
        assert KEY not in json.dumps(vendor.asked[-1].headers)


@needs_clients
def test_a_request_is_paid_for_once(vendor: Vendor, tmp_path: Path) -> None:
    vendor.answers = [picture("openai")]
    wanted = graph(a=node(vendor, num_images=2))
    with pytest.raises(
        RequestError,
        match=r"max_cost: a would cost 0\.08 USD \(2 answers .*expected max_cost=0\.08 or more, given 0",
    ):
        wanted.run(cache_dir=tmp_path)
    assert not vendor.asked
    assert wanted.run(cache_dir=tmp_path, max_cost=0.08)["a"].tensor.shape == (2, 3, 12, 16)
    assert len(vendor.asked) == 2
    dearer = graph(a=node(vendor, num_images=2, price=9, retries=0, timeout=1))
    again = dearer.run(cache_dir=tmp_path, offline=True)
    assert again.record.nodes["a"].status == "hit"
    other = graph(a=node(vendor, num_images=2, sample=1)).run(cache_dir=tmp_path, max_cost=1)
    assert other.record.nodes["a"].status == "computed"
    assert len(vendor.asked) == 4


@needs_clients
def test_pictures_that_came_before_a_failure_are_not_paid_for_again(vendor: Vendor, tmp_path: Path) -> None:
    first, second = (picture("openai", png(colour)) for colour in ((1, 2, 3), (4, 5, 6)))
    vendor.answers = [first, second, refusal("openai", 400, "no")]
    wanted = graph(a=node(vendor, num_images=3))
    with pytest.raises(fs.RunFailedError, match="refused the request: no"):
        wanted.run(cache_dir=tmp_path, max_cost=1)
    vendor.answers = [picture("openai", png((7, 8, 9)))]
    frames: Frames = wanted.run(cache_dir=tmp_path, max_cost=1)["a"]
    assert frames.tensor[:, 0, 0, 0].tolist() == [1, 4, 7]
    assert len(vendor.asked) == 4


@needs_clients
def test_two_nodes_that_ask_the_same_are_paid_for_together_or_refused(vendor: Vendor, tmp_path: Path) -> None:
    vendor.answers = [picture("openai")]
    with pytest.raises(RequestError, match=r"a, b would cost 0\.08 USD"):
        graph(a=node(vendor), b=node(vendor)).run(cache_dir=tmp_path, max_cost=0.05)
    assert not vendor.asked


@needs_clients
def test_what_was_paid_for_and_is_lost_is_not_asked_again_unasked(vendor: Vendor, tmp_path: Path) -> None:
    vendor.answers = [picture("openai")]
    wanted = graph(a=node(vendor))
    wanted.run(cache_dir=tmp_path, max_cost=1)
    for file in (tmp_path / "objects").rglob("*"):
        if file.is_file():
            file.write_bytes(b"damaged" + file.read_bytes()[7:])
    with pytest.raises(FlowsynthError, match="what a was paid for is lost"):
        wanted.run(cache_dir=tmp_path, max_cost=1)
    assert len(vendor.asked) == 1


@needs_clients
def test_a_sweep_is_counted_as_a_whole_before_anything_is_sent(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    vendor.answers = [picture("openai")]
    made = {"nodes": {"a": node(vendor, prompt="${prompt}")}, "outputs": ["a"]}
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "hosted.yaml").write_text(json.dumps(made))
    asked = ["--multirun", "graph=hosted", "prompt=a,b,c", "cache.dir=c"]
    assert main(["plan", *asked, "max_cost=0.1"]) == 0
    assert "cost: 3 answers of hosted models, 0.12 USD, refused by max_cost=0.1" in capsys.readouterr().out
    assert main(["run", "-q", *asked, "max_cost=0.1", "output_dir=o"]) != 0
    assert "the sweep would cost 0.12 USD" in capsys.readouterr().err
    assert not vendor.asked
    assert main(["run", "-q", *asked, "max_cost=0.12", "output_dir=p"]) == 0
    assert len(vendor.asked) == 3
    assert main(["plan", "graph=hosted", "prompt=a", "cache.dir=c"]) == 0
    assert "cost:" not in capsys.readouterr().out


@needs_clients
def test_a_key_is_in_no_file_and_on_no_terminal(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    vendor.answers = [picture("openai"), refusal("openai", 401, f"Incorrect API key provided: {KEY}")]
    save = {"op": "save_images", "inputs": {"frames": "a"}}
    made = {"nodes": {"a": node(vendor), "b": node(vendor, sample=1), "s": save}, "outputs": ["s", "b"]}
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "hosted.yaml").write_text(json.dumps(made))
    args = ["graph=hosted", "cache.dir=c", "max_cost=1"]
    assert main(["plan", *args]) == 0
    assert main(["run", "--debug", *args, "output_dir=o", "executor=serial"]) == 1
    shown = capsys.readouterr()
    assert "the key was refused: Incorrect API key provided:" in shown.err
    assert KEY not in shown.out + shown.err
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 4
    assert not [file for file in files if KEY.encode() in file.read_bytes()]


@needs_clients
@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"OPENAI_API_KEY": None}, "nodes.a: no key; expected it in the environment variable OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "two words"}, "holds no key"),
        ({"OPENAI_API_KEY": "schlüssel"}, "holds no key"),
    ],
)
def test_a_key_that_is_missing_or_none_is_told_and_not_shown(
    vendor: Vendor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str | None],
    wrong: str,
) -> None:
    for name, value in changes.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(FlowsynthError, match=wrong) as caught:
        graph(a=node(vendor)).run(cache_dir=tmp_path, max_cost=1)
    assert not vendor.asked
    assert not [value for value in changes.values() if value and value in str(caught.value)]


@needs_clients
def test_offline_nothing_is_asked(vendor: Vendor, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="offline: a would have to ask a hosted model"):
        graph(a=node(vendor)).run(cache_dir=tmp_path, max_cost=1, offline=True)


@pytest.mark.parametrize(
    ("params", "wrong"),
    [
        ({"options": {"sise": "1024x1024"}}, r"params\.options\.sise: unknown option.*did you mean 'size'"),
        ({"vendor": "google", "options": {"size": "1x1"}}, r"params\.options\.size: unknown option"),
        ({"prompt": ""}, r"params\.prompt: nothing to ask for"),
        ({"price": -1}, r"params\.price"),
        ({"base_url": "ftp://x"}, r"params\.base_url.*http://HOST"),
        ({"base_url": "https://me:sesame@x"}, r"params\.base_url.*keys come from the environment"),
        ({"vendor": "opnai"}, r"params\.vendor"),
    ],
)
def test_wrong_requests_are_told_before_anything(vendor: Vendor, params: dict[str, Any], wrong: str) -> None:
    with pytest.raises(GraphError, match=wrong) as caught:
        graph(a=node(vendor, **params))
    assert "sesame" not in str(caught.value)


def test_a_price_must_be_said(vendor: Vendor) -> None:
    bare = node(vendor)
    del bare["params"]["price"]
    with pytest.raises(GraphError, match=r"params\.price"):
        graph(a=bare)


@pytest.mark.parametrize("name", ["openai", "google"])
def test_without_the_client_a_run_says_what_to_install_and_a_graph_is_right(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    wanted = graph(a=node(vendor, vendor=name))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RequestError, match=r"nodes\.a: .* is not installed; expected pip install .*hosted"):
        wanted.run(cache_dir=tmp_path, max_cost=1)


@needs_clients
def test_a_text_is_written_by_a_server_of_the_users(vendor: Vendor, tmp_path: Path) -> None:
    vendor.answers = [words("openai", " It was cold. ")]
    params = {
        "model": "llama",
        "prompt": "the sea",
        "price": 0,
        "base_url": vendor.address,
        "system": "Be brief.",
    }
    wanted = graph(a={"op": "hosted_text", "params": params})
    assert wanted.run(cache_dir=tmp_path)["a"] == "It was cold."
    assert [m["role"] for m in vendor.asked[0].json["messages"]] == ["system", "user"]
    assert wanted.run(cache_dir=tmp_path)["a"] == "It was cold."
    assert len(vendor.asked) == 1


@needs_clients
def test_a_short_films_text_comes_from_a_language_model(vendor: Vendor, tmp_path: Path) -> None:
    vendor.answers = [words("openai", "Rain carries salt to the sea.")]
    asked = ["topic=salt", "llm=llama", f"base_url={vendor.address}", "sentences=1"]
    run = fs.compose("short_video_topic", asked).run(outputs=["writer"], cache_dir=tmp_path)
    assert run["writer"] == "Rain carries salt to the sea."
    sent = vendor.asked[0].json
    assert sent["model"] == "llama"
    assert sent["messages"][-1]["content"] == "Write 1 short sentences about this: salt"
