import flowsynth as fs
from flowsynth.core.context import RunContext
from tests.config.conftest import Writer


def test_compose_gives_a_graph_that_round_trips(folder: Writer) -> None:
    folder("graphs/one.yaml", "settings: {count: 3}\nnodes: {a: {op: count_up, params: {to: '${count}'}}}\n")

    class CountUp(fs.Operator):
        """Counts."""

        op = "count_up"
        version = 1
        to: int = 1

        def run(self, ctx: RunContext, /) -> list[int]:
            return list(range(self.to))

    try:
        graph = fs.compose("one", ["count=4"])
        assert isinstance(graph, fs.Graph)
        assert graph.nodes["a"].operator.model_dump() == {"to": 4}
        text = graph.to_yaml()
        assert fs.Graph.from_yaml(text).to_yaml() == text
        assert graph.run(cache_dir="cache")["a"] == [0, 1, 2, 3]
    finally:
        from flowsynth.core.operator import DEFINED

        DEFINED.pop("count_up")
