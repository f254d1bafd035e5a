//! Sets the linker up for an addon whose N-API symbols come from the host process.

fn main() {
    napi_build::setup();
}
