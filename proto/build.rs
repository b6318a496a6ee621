//! Compiles the contracts' wire form. No protoc is needed: protox parses the files.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 3] = ["bucket/v1/auth.proto", "bucket/v1/blob.proto", "bucket/v1/metadata.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=bucket");
    let descriptors = protox::compile(FILES, ["."])?;

    // Written here because `compile_fds` ignores `file_descriptor_set_path`.
    let out = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.binpb");
    fs::write(out, descriptors.encode_to_vec())?;

    // Blob bytes are slices of what was received, not copies.
    tonic_prost_build::configure().bytes(".bucket.v1").compile_fds(descriptors)?;
    Ok(())
}
