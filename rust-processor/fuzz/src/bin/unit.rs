#![no_main]

use libfuzzer_sys::fuzz_target;
use tallyman_processor_fuzz::contract::{MAX_RECORD_BYTES, UnitRecord};
use tallyman_processor_fuzz::stays;

fuzz_target!(|bytes: &[u8]| stays(bytes, MAX_RECORD_BYTES, UnitRecord::decode, UnitRecord::encode));
