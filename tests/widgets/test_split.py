from meshlab.widgets import SplitWidget


def test_moves_are_handed_over_as_whole_weights() -> None:
    moves = []
    widget = SplitWidget("bookstore/bookstore", moves.append)
    widget.show(backends=[{"service": "v1", "weight": 50}, {"service": "v2", "weight": 50}])
    widget._heard(widget, {"type": "move", "weights": {"v1": 60.0, "v2": 40}}, [])
    assert moves == [{"v1": 60, "v2": 40}]


def test_what_is_no_backend_or_no_weight_is_not_handed_over() -> None:
    moves = []
    widget = SplitWidget("bookstore/bookstore", moves.append)
    widget.show(backends=[{"service": "v1", "weight": 1}])
    widget._heard(widget, {"type": "move", "weights": {"v1": -3, "other": 5}}, [])
    widget._heard(widget, {"type": "something else"}, [])
    assert moves == [{}]


def test_every_show_reaches_the_page_even_when_nothing_changed() -> None:
    widget = SplitWidget("bookstore/bookstore", lambda _: None)
    turns = [widget.state["turn"]]
    widget.show(error="refused")
    widget.show(error="refused")
    assert [*turns, widget.state["turn"]] == [0, 2]


def test_it_says_the_shares_in_words() -> None:
    widget = SplitWidget("bookstore/bookstore", lambda _: None)
    assert "not read yet" in repr(widget)
    widget.show(
        exists=True, backends=[{"service": "v1", "weight": 3}, {"service": "v2", "weight": 1}], yaml="kind: T\n"
    )
    assert repr(widget) == "Calls to bookstore/bookstore: v1 75%, v2 25% (as the TrafficSplit says)\nkind: T\n"
