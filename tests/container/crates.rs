//! The crate that combines many kinds of sources and settings, built in the container.

use crate::{
    complete_build,
    kinds::{self, KINDS, expected, invoked},
    machine::{make, root, run},
    make_docker_build,
};

const OUT: &str = "OUT=target/container-kinds";

#[test]
#[ignore = "run by make test"]
fn the_container_builds_the_same_function_as_zig_except_for_the_c_compiler() {
    let Some(build) = complete_build("crates of many kinds in the container") else { return };
    let docker_build = || {
        let mut docker_build = make_docker_build();
        docker_build.args(KINDS).args(&build).arg(OUT);
        docker_build
    };
    let own = run(docker_build()).succeeded().checksum();
    let (compiler, answer) = invoked(&root().join("target/container-kinds"));
    assert!(!compiler.contains("Clang"), "{compiler}");
    assert_eq!(answer, expected());
    let verified = make(&["verify", OUT]).succeeded();
    assert!(verified.stdout.contains("compilers gcc"), "{}", verified.stdout);
    assert_eq!(kinds::run_in_a_hostile_shell(docker_build()).checksum(), own);
}
