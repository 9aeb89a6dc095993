//! Tests of the deployment: the template, the example events, the stack end to end.
