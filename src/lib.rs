//! Portcullis: a pull-through caching proxy for OCI registries that serves only what passes the
//! operator's signature policy. `docs/ARCHITECTURE.md` has the map; the order here is the layers'.

pub mod clock;
pub mod flight;
pub mod oci;
pub mod sendfile;
pub mod setting;
pub mod telemetry;

pub mod egress;
pub mod x509;

pub mod access;
pub mod store;
pub mod upstream;

pub mod cache;
pub mod trust;

pub mod signature;

pub mod policy;
pub mod signing;

pub mod audit;

pub mod admission;

pub mod config;

pub mod engine;

pub mod export;
pub mod http;
pub mod promote;

pub mod demo;

pub mod cli;
