//! What a process tells about itself: log lines on stderr, traces by OTLP where that is configured, and metrics
//! for Prometheus. Requests and calls make their own spans; this file only carries them out.

use std::{io::IsTerminal as _, time::Duration};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource, metrics::SdkMeterProvider, propagation::TraceContextPropagator, trace::SdkTracerProvider,
};
use prometheus::{Registry, TextEncoder};
use tracing_subscriber::{
    EnvFilter, Layer, Registry as Subscriber, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{LogFormat, TelemetryConfig};

const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a process cannot tell about itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log level is none.
    #[error("{directives:?} is no log level: {error}")]
    LogLevel {
        /// What was configured.
        directives: String,
        /// What is wrong with it.
        error: tracing_subscriber::filter::ParseError,
    },
    /// Traces cannot be exported there.
    #[error("traces cannot be exported to {endpoint}: {error}")]
    Traces {
        /// What was configured.
        endpoint: String,
        /// What is wrong with it.
        error: opentelemetry_otlp::ExporterBuildError,
    },
    /// Metrics cannot be registered.
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
}

/// The telemetry of this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Telemetry {
    registry: Registry,
    meters: SdkMeterProvider,
    traces: Option<SdkTracerProvider>,
}

/// Starts it, for the whole process. Log lines and traces stay with the first who starts them, metrics go to the
/// last. With an OTLP endpoint it must run within tokio.
///
/// # Errors
/// The configuration cannot be used.
pub fn init(config: &TelemetryConfig) -> Result<Telemetry, Error> {
    let resource = Resource::builder().with_service_name(config.service_name.clone()).build();
    let traces =
        config.otlp_endpoint.as_deref().map(|endpoint| exported(endpoint, resource.clone())).transpose()?;
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build()?;
    let meters = SdkMeterProvider::builder().with_resource(resource).with_reader(exporter).build();

    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    opentelemetry::global::set_meter_provider(meters.clone());
    subscribe(config, traces.as_ref())?;
    Ok(Telemetry { registry, meters, traces })
}

impl Telemetry {
    /// All metrics in Prometheus' text format.
    pub fn metrics_text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::warn!(%error, "metrics cannot be written");
        }
        text
    }

    /// Sends what is left. Nothing is recorded afterwards.
    pub async fn shutdown(self) {
        // The exporter's thread needs the runtime that would wait for it.
        let flushed = tokio::task::spawn_blocking(move || {
            let traces = self.traces.map_or(Ok(()), |traces| traces.shutdown());
            traces.and(self.meters.shutdown())
        });
        if let Ok(Err(error)) = flushed.await {
            tracing::warn!(%error, "telemetry was not sent to its end");
        }
    }
}

fn exported(endpoint: &str, resource: Resource) -> Result<SdkTracerProvider, Error> {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic();
    let exporter = exporter.with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build();
    let exporter = exporter.map_err(|error| Error::Traces { endpoint: endpoint.to_owned(), error })?;
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

fn subscribe(config: &TelemetryConfig, traces: Option<&SdkTracerProvider>) -> Result<(), Error> {
    let directives = config.log_level.clone();
    let filter = EnvFilter::try_new(&directives).map_err(|error| Error::LogLevel { directives, error })?;
    let terminal = std::io::stderr().is_terminal();
    let lines: Box<dyn Layer<Subscriber> + Send + Sync> = match (config.log_format, terminal) {
        (LogFormat::Json, _) | (LogFormat::Auto, false) => {
            Box::new(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).with_filter(filter))
        }
        // Colours are for eyes, not for files.
        (LogFormat::Text | LogFormat::Auto, colours) => {
            Box::new(fmt::layer().with_ansi(colours).with_writer(std::io::stderr).with_filter(filter))
        }
    };
    let spans = traces.map(|traces| {
        let ours = EnvFilter::new("info,h2=off,hyper=off,tonic=off,tower=off,opentelemetry=off");
        tracing_opentelemetry::layer().with_tracer(traces.tracer("service-kit")).with_filter(ours)
    });
    // Whoever came first stays: several parts of one test process may start telemetry.
    let _ = tracing_subscriber::registry().with(lines).with(spans).try_init();
    Ok(())
}
