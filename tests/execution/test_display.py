"""Rich forms of a value."""

from __future__ import annotations

from jupyter_faas.execution.display import mime_bundle


def test_every_form_is_taken_and_broken_ones_are_left_out() -> None:
    class Rich:
        def _repr_html_(self) -> str:
            return "<b>"

        def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
            return b"\x89PNG", {"width": 3}

        def _repr_svg_(self) -> str:
            raise ValueError

        def __repr__(self) -> str:
            return "Rich"

    data, metadata = mime_bundle(Rich())
    assert data == {"text/html": "<b>", "image/png": "iVBORw==", "text/plain": "Rich"}
    assert metadata == {"image/png": {"width": 3}}


def test_a_value_may_give_its_own_bundle() -> None:
    class Own:
        def _repr_mimebundle_(self, include: object, exclude: object) -> object:
            return {"application/x": {"a": 1}}, {"application/x": {"m": 2}}

    data, metadata = mime_bundle(Own())
    assert data["application/x"] == {"a": 1}
    assert metadata == {"application/x": {"m": 2}}


def test_a_widget_is_shown_by_its_other_forms() -> None:
    class Widget:
        def _repr_mimebundle_(self, include: object, exclude: object) -> object:
            return {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "0 %"}

    assert mime_bundle(Widget())[0] == {"text/plain": "0 %"}


def test_a_class_is_not_asked_for_the_forms_of_its_instances() -> None:
    class Rich:
        def _repr_html_(self) -> str:
            return "<b>"

    assert list(mime_bundle(Rich)[0]) == ["text/plain"]


def test_a_figure_is_drawn() -> None:
    class Figure:
        def savefig(self, target: object, **_: object) -> None:
            target.write(b"png")  # type: ignore[attr-defined]

    Figure.__module__ = "matplotlib.figure"
    assert mime_bundle(Figure())[0]["image/png"] == "cG5n"
