from __future__ import annotations

from teagent.adapters.flow.receiver import Binding


def test_a_binding_is_written_as_an_address_with_its_port():
    assert str(Binding(host="0.0.0.0", port=2055)) == "0.0.0.0:2055"
    assert str(Binding(host="::", port=2055)) == "[::]:2055"
