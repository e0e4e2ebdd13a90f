from __future__ import annotations

from teagent.adapters.flow.receiver import Arrivals, Binding, Chunk, DatagramQueue


def chunk(count: int) -> Chunk:
    payloads = [bytes([i]) for i in range(count)]
    return Chunk(0.0, [Arrivals("192.0.2.1", 4711, payloads[:2]), Arrivals("192.0.2.2", 4711, payloads[2:])])


def test_a_full_queue_drops_what_does_not_fit_and_counts_it():
    queue = DatagramQueue(5)
    queue.open()
    queue.put(chunk(3))
    queue.put(chunk(4))
    queue.put(chunk(2))
    assert queue.dropped == 4
    queue.close()
    held = [queue.get(), queue.get()]
    assert [c.datagrams for c in held if c] == [3, 2]
    assert [len(found.payloads) for found in held[1].arrivals] == [2]
    assert queue.get() is None


def test_room_comes_back_as_chunks_are_taken():
    queue = DatagramQueue(3)
    queue.open()
    for _ in range(4):
        queue.put(chunk(3))
        taken = queue.get()
        assert taken is not None
    assert queue.dropped == 0


def test_a_binding_is_written_as_an_address_with_its_port():
    assert str(Binding(host="0.0.0.0", port=2055)) == "0.0.0.0:2055"
    assert str(Binding(host="::", port=2055)) == "[::]:2055"
