#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oci_image::fuzzing::registry_response(bytes));
