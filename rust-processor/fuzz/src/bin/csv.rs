#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tallyman_processor_fuzz::Table;

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::named("table.csv"));

fuzz_target!(|bytes: &[u8]| TABLE.profiled(bytes));
