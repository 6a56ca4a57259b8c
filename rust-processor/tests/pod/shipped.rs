//! The program that is shipped ignores the test points.

use super::world::World;

#[test]
fn the_shipped_program_has_no_test_points() {
    let world = World::new();
    let pod = world
        .pod("u")
        .with("TALLYMAN_TEST_CRASH", "c1")
        .with("TALLYMAN_TEST_HOLD", "c1=/dev/zero");
    pod.claim(0);
    assert_eq!(world.told(), ["noop"]);
    let binary = std::fs::read(env!("CARGO_BIN_EXE_processor")).unwrap();
    assert!(!binary.windows(13).any(|bytes| bytes == b"TALLYMAN_TEST"));
}
