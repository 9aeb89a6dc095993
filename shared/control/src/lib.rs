//! Berth's flows: submit, track, admit, reconcile; generic over ports.
