//! What a token says when it does nothing, in PKCS#11's own words, and what cures it.

use std::fmt;

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};

use super::TokenSettings;
use crate::fault::Fault;

/// What may help before an operation is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cure {
    /// A new session and a new login.
    LogIn,
    /// To begin the module anew: it looks for its tokens then only.
    Begin,
    /// Nothing that we can do.
    None,
}

/// Why an operation in the token gave nothing; never for what a sender gave.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What the module says.
    Module(Error),
    /// What we say.
    Told { text: String, remedy: String, cure: Cure },
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Module(error)
    }
}

impl Trouble {
    pub(super) fn told(text: impl Into<String>, remedy: impl Into<String>, cure: Cure) -> Self {
        Trouble::Told { text: text.into(), remedy: remedy.into(), cure }
    }

    pub(super) fn lost_login() -> Self {
        Self::told("the login was lost", TRIED_AGAIN, Cure::LogIn)
    }

    pub(super) fn cure(&self) -> Cure {
        match self {
            Trouble::Told { cure, .. } => *cure,
            Trouble::Module(Error::Pkcs11(value, _)) => match value {
                RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::UserNotLoggedIn
                | RvError::KeyHandleInvalid
                | RvError::ObjectHandleInvalid
                | RvError::OperationActive => Cure::LogIn,
                // What a module says when its token has gone differs; SoftHSM says CKR_GENERAL_ERROR.
                RvError::GeneralError
                | RvError::FunctionFailed
                | RvError::CryptokiNotInitialized
                | RvError::DeviceError
                | RvError::DeviceRemoved
                | RvError::SlotIdInvalid
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized => Cure::Begin,
                _ => Cure::None,
            },
            Trouble::Module(_) => Cure::None,
        }
    }

    /// Not to be tried again.
    pub(super) fn without_cure(self) -> Self {
        match self {
            Trouble::Told { text, remedy, .. } => Self::told(text, remedy, Cure::None),
            Trouble::Module(error) => Self::told(said(&error), TRIED_AGAIN, Cure::None),
        }
    }

    /// The fault of `operation` on `subject` that it is.
    pub(super) fn fault(self, operation: &'static str, subject: impl fmt::Display, settings: &TokenSettings) -> Fault {
        let (text, remedy) = match self {
            Trouble::Told { text, remedy, .. } => (text, remedy),
            Trouble::Module(error) => (said(&error), remedy(&error, settings)),
        };
        Fault::new(operation, subject).because(format!("token {:?}: {text}", settings.token)).remedy(remedy)
    }
}

const TRIED_AGAIN: &str = "Files that need the token wait, and are tried again";

/// `C_Decrypt says CKR_ENCRYPTED_DATA_INVALID`.
pub(super) fn said(error: &Error) -> String {
    match error {
        Error::Pkcs11(value, function) => format!("C_{function:?} says {}", name(*value)),
        other => other.to_string(),
    }
}

/// A return value's name in PKCS#11: the crate has it in its own spelling, `EncryptedDataInvalid`.
fn name(value: RvError) -> String {
    match value {
        RvError::VendorDefined(number) | RvError::UnknownErrorCode(number) => format!("{number:#010x}, a value of its vendor's"),
        value => {
            let mut name = String::from("CKR");
            for character in format!("{value:?}").chars() {
                if character.is_ascii_uppercase() {
                    name.push('_');
                }
                name.push(character.to_ascii_uppercase());
            }
            name
        }
    }
}

fn remedy(error: &Error, settings: &TokenSettings) -> String {
    let module = settings.module.display();
    match error {
        Error::LibraryLoading(_) | Error::MissingSymbol(_) => {
            format!("Check [pkcs11] module = \"{module}\": it must be the PKCS#11 module of the token, and readable by the gateway")
        }
        Error::Pkcs11(RvError::KeyFunctionNotPermitted, Function::DeriveKey) => {
            "The key was made without CKA_DERIVE: it can't be used for ECDH, so make one that may be".to_owned()
        }
        Error::Pkcs11(RvError::KeyFunctionNotPermitted, Function::DecryptInit) => {
            "The key was made without CKA_DECRYPT: it can't be used for RSA-OAEP, so make one that may be".to_owned()
        }
        Error::Pkcs11(RvError::MechanismInvalid, Function::DeriveKey) => {
            "The token does not do CKM_ECDH1_DERIVE: register a key in a token that does".to_owned()
        }
        _ => format!("See that the token is there and its service runs. {TRIED_AGAIN}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_their_names_in_the_standard() {
        let said = |value, function| said(&Error::Pkcs11(value, function));
        assert_eq!(said(RvError::PinIncorrect, Function::Login), "C_Login says CKR_PIN_INCORRECT");
        assert_eq!(said(RvError::CryptokiNotInitialized, Function::DecryptInit), "C_DecryptInit says CKR_CRYPTOKI_NOT_INITIALIZED");
        assert_eq!(said(RvError::VendorDefined(0x8000_0001), Function::Decrypt), "C_Decrypt says 0x80000001, a value of its vendor's");
    }
}
