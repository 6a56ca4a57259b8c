#![no_main]

use libfuzzer_sys::fuzz_target;
use tallyman_processor_fuzz::contract::{Event, MAX_EVENT_BYTES};
use tallyman_processor_fuzz::stays;

fuzz_target!(|bytes: &[u8]| stays(bytes, MAX_EVENT_BYTES, Event::decode, Event::encode));
