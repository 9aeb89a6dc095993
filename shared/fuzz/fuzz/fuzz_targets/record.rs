#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| berth_fuzz::target::must_hold("record", input));
