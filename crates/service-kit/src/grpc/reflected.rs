//! Reflection: tools such as grpcurl see the services of a port.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

/// Adds reflection for the services of `descriptors`, and for health: in both versions, as grpcurl before 1.8.8
/// knows only the older one.
pub(super) fn add_to(routes: Routes, descriptors: &[&'static [u8]]) -> Result<Routes, Error> {
    let current = described(descriptors).build_v1()?;
    let older = described(descriptors).build_v1alpha()?;
    Ok(routes.add_service(current).add_service(older))
}

fn described(descriptors: &[&'static [u8]]) -> Builder<'static> {
    let builder =
        Builder::configure().register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    descriptors.iter().fold(builder, |builder, set| builder.register_encoded_file_descriptor_set(set))
}
