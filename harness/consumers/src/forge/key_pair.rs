//! Key pairs of SSH.

use credence_core::credential::Credential;
use rustix::rand::{GetRandomFlags, getrandom};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::ForgeError;

/// A key pair as `ssh-keygen -t ed25519` makes it.
#[derive(Debug, Clone)]
pub struct SshKey {
    /// The private half, in the form of OpenSSH.
    pub private: Credential,
    /// The public half, as a line of `authorized_keys`.
    pub(super) public: String,
}

impl SshKey {
    /// Another key than all others. It lets nobody in until the forge knows it.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub fn generate() -> Result<Self, ForgeError> {
        let mut seed = [0; 32];
        // getrandom(2) gives up to 256 bytes whole, see its manual page.
        getrandom(&mut seed[..], GetRandomFlags::empty()).map_err(|source| ForgeError::Random(source.into()))?;
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
        let key = PrivateKey::new(pair, "credence").map_err(ForgeError::SshKey)?;
        let private = key.to_openssh(LineEnding::LF).map_err(ForgeError::SshKey)?;
        let public = key.public_key().to_openssh().map_err(ForgeError::SshKey)?;
        Ok(Self { private: Credential::new(private.as_bytes()), public })
    }
}

/// The fingerprint of the public half of a private key, `SHA256:…`, as servers name it. `None` if it is no key.
pub(crate) fn fingerprint(private: &Credential) -> Option<String> {
    let text = Credential::new([private.expose().trim_ascii_end(), b"\n"].concat());
    let key = PrivateKey::from_openssh(text.expose()).ok()?;
    Some(key.fingerprint(HashAlg::Sha256).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_the_form_of_openssh_and_shows_no_private_half() {
        let [key, other] = [(); 2].map(|()| SshKey::generate().unwrap());
        let private = key.private.expose_str().unwrap();
        assert!(private.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n") && private.ends_with("-----\n"));
        assert!(key.public.starts_with("ssh-ed25519 "), "{}", key.public);
        assert!(!format!("{key:?}").contains(private.lines().nth(1).unwrap()));
        assert_ne!(fingerprint(&key.private), fingerprint(&other.private));
    }

    #[test]
    fn a_key_has_its_fingerprint_whatever_follows_its_last_line() {
        let key = SshKey::generate().unwrap().private;
        let bare = Credential::new(key.expose().trim_ascii_end());
        assert!(fingerprint(&key).unwrap().starts_with("SHA256:"));
        assert_eq!(fingerprint(&bare), fingerprint(&key));
        assert_eq!(fingerprint(&Credential::new([key.expose(), b"\n\n"].concat())), fingerprint(&key));
        assert_eq!(fingerprint(&Credential::new(&key.expose()[10..])), None);
    }
}
