//! Link arguments of the addon.

fn main() {
    napi_build::setup();
    // The engine's threads outlive any one environment. If the last worker's exit unmapped the library, they would go on
    // running in unmapped code, so the loader must never unload it. napi-build sets this for glibc only; musl needs it too.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    }
}
