//! Extensions, which `deploy` publishes as layers.

use serde_json::json;

use crate::{
    aws::Aws,
    machine::{make, write_crate},
};

#[test]
#[ignore = "run by make test"]
fn an_extension_is_published_as_a_layer_version_only_once() {
    let aws = Aws::without_role();
    let directory = tempfile::tempdir().unwrap();
    let [krate, out] = ["telemetry", "out"].map(|name| directory.path().join(name));
    write_crate(&krate, "[package]\nname = 'telemetry'\n[workspace]\n", "fn main() {}");
    let arguments = [("CRATE", &krate), ("OUT", &out)].map(|(name, path)| format!("{name}={}", path.display()));
    make(&[&arguments[0], &arguments[1], "EXTENSION=1"]).succeeded();
    let zip = format!("{}/extension.zip", out.display());
    let deploy = |options: &[&str]| aws.run(&[&["deploy", "telemetry", "--zip", &zip], options].concat());
    deploy(&["--memory", "256"]).failed_with(&["is an extension", "no role, alias, URL"]);
    for expected in [&["publish-layer-version"][..], &[]] {
        let run = deploy(&[]).succeeded();
        assert!(run.last_line().contains(":layer:telemetry:1, CodeSha256 "), "{}", run.stdout);
        assert_eq!(aws.changes(), expected);
    }
    let layer = aws.request("GET", "/2018-10-31/layers/telemetry/versions/1", &json!({}));
    assert_eq!(layer["CompatibleArchitectures"][0], "x86_64");
}
