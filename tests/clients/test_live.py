"""The live installation that clients are tested against: it serves what is written to it, over the
wire.
"""

from __future__ import annotations


def test_live__serves_an_experiment_made_over_http(live):
    live.experiment("live_itself")
    live.settle()
    answer = live.post("/api/v1/assignments", {"unit": "u1", "experiments": ["live_itself"]})
    assert answer.json()["assignments"][0]["variant"] in {"control", "treatment"}
    assert live.post("/api/v1/assignments", {"unit": "u1"}, key=None).status == 401


def test_live__comes_back_on_the_same_port_after_a_stop(live):
    live.stop()
    live.start()
    assert live.get("/livez", key=None).status == 200
