//! Compiles the contracts' wire form. No protoc is needed: protox parses the files.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use prost::Message as _;

const FILES: [&str; 3] = ["bucket/v1/auth.proto", "bucket/v1/blob.proto", "bucket/v1/metadata.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=bucket");
    let descriptors = protox::compile(FILES, ["."])?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    for file in FILES {
        // What a process shows by reflection: all messages, but no services of others.
        let mut shown = descriptors.clone();
        for other in shown.file.iter_mut().filter(|other| other.name() != file) {
            other.service.clear();
        }
        let name = Path::new(file).with_extension("binpb");
        let name = name.file_name().ok_or("a proto file has a name")?;
        fs::write(out.join(name), shown.encode_to_vec())?;
    }

    // Blob bytes are slices of what was received, not copies.
    tonic_prost_build::configure().bytes(".bucket.v1").compile_fds(descriptors)?;
    Ok(())
}
