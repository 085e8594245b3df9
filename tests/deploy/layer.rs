//! Extensions, which `deploy` publishes as layers.

use crate::{
    aws::Aws,
    machine::{build_crate, write_crate},
};

#[test]
#[ignore = "run by make test"]
fn an_extension_is_published_as_a_layer_version_only_once() {
    let aws = Aws::without_role();
    let directory = tempfile::tempdir().unwrap();
    let [krate, out] = ["telemetry", "out"].map(|name| directory.path().join(name));
    write_crate(&krate, "[package]\nname = 'telemetry'\n[workspace]\n", "fn main() {}");
    build_crate(&krate, &out, &["EXTENSION=1"]).succeeded();
    let zip = format!("{}/extension.zip", out.display());
    let deploy = |options: &[&str]| aws.run(&[&["deploy", "telemetry", "--zip", &zip], options].concat());
    deploy(&["--memory", "256"]).failed_with(&["is an extension", "no role, alias, URL"]);
    for expected in [&["publish-layer-version"][..], &[]] {
        let run = deploy(&[]).succeeded();
        assert!(run.last_line().contains(":layer:telemetry:1, CodeSha256 "), "{}", run.stdout);
        assert_eq!(aws.changes(), expected);
    }
    let layer = aws.get("/2018-10-31/layers/telemetry/versions/1");
    assert_eq!(layer["CompatibleArchitectures"][0], "x86_64");
}
