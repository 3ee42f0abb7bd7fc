package panamoe.harness.serve.http;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.KeyStoreException;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.Date;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import panamoe.harness.ShellWord;
import panamoe.io.FileErrors;
import panamoe.io.Require;

/**
 * The certificate of a server and its key in PEM. They are read again when the files have changed;
 * if what they hold then is wrong, the former ones stay. Thread-safe.
 */
public final class TlsCertificate implements AutoCloseable {
  private static final Duration POLL = Duration.ofSeconds(5);
  private static final Pattern KEY =
      Pattern.compile("-----BEGIN ([A-Z ]*PRIVATE KEY)-----([^-]*)-----END");
  private static final String ALIAS = "server";
  private static final String IN_MEMORY = "in memory"; // a key store has a password

  private final Path certificateFile;
  private final Path keyFile;
  private final Consumer<String> log;
  private final SslContextFactory.Server contexts = new SslContextFactory.Server();
  private volatile Instant end;
  // What the files held when they were read last, and when they were looked at last.
  private byte[] tried;
  private byte[] seen;
  private Thread watch;

  /**
   * @param certificate the server's, then those of its issuers
   * @param key in PKCS #8, not encrypted
   * @param log receives a message when they were read again
   * @throws IllegalArgumentException if one of them is wrong, they do not fit, or it is the wrong
   *     time for the certificate
   */
  public TlsCertificate(Path certificate, Path key, Consumer<String> log) throws IOException {
    this.certificateFile = certificate;
    this.keyFile = key;
    this.log = log;
    byte[] certificates = bytes(certificate);
    byte[] keys = bytes(key);
    this.tried = joined(certificates, keys);
    this.seen = tried;
    contexts.setKeyManagerPassword(IN_MEMORY);
    KeyStore store = keyStore(certificates, keys);
    contexts.setKeyStore(store);
    end = endOf(store);
  }

  /** For connections; from now on the files are watched. */
  SslContextFactory.Server contexts() {
    watch =
        Thread.ofVirtual()
            .name("certificate")
            .start(
                () -> {
                  try {
                    while (true) {
                      Thread.sleep(POLL);
                      reloadIfChanged();
                    }
                  } catch (InterruptedException _) {
                    // the server has stopped
                  }
                });
    return contexts;
  }

  /** The end of the certificate's time. */
  public Instant end() {
    return end;
  }

  /**
   * Reads the files again if they have changed, but not since the call before: both are written.
   */
  public synchronized void reloadIfChanged() {
    try {
      byte[] certificates = bytes(certificateFile);
      byte[] keys = bytes(keyFile);
      byte[] now = joined(certificates, keys);
      boolean settled = Arrays.equals(now, seen);
      seen = now;
      if (settled && !Arrays.equals(now, tried)) {
        tried = now;
        KeyStore read = keyStore(certificates, keys);
        KeyStore former = contexts.getKeyStore();
        try {
          contexts.reload(factory -> factory.setKeyStore(read));
        } catch (Exception e) { // declared by Jetty, which has none now
          contexts.reload(factory -> factory.setKeyStore(former));
          throw e;
        }
        end = endOf(read);
        log.accept("the certificate was read again; it ends at " + end);
      }
    } catch (IOException e) {
      keep(FileErrors.sentence(e), e.toString().getBytes(StandardCharsets.UTF_8));
    } catch (Exception e) { // declared by Jetty
      log.accept("warning: the former certificate stays: " + e.getMessage());
    }
  }

  /** Says once why the files cannot be read. */
  private void keep(String why, byte[] now) {
    seen = now;
    if (!Arrays.equals(now, tried)) {
      tried = now;
      log.accept("warning: the former certificate stays: " + why);
    }
  }

  private static byte[] bytes(Path file) throws FileSystemException {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw FileErrors.naming(file, e);
    }
  }

  private static byte[] joined(byte[] certificates, byte[] keys) {
    byte[] both = Arrays.copyOf(certificates, certificates.length + keys.length);
    System.arraycopy(keys, 0, both, certificates.length, keys.length);
    return both;
  }

  private KeyStore keyStore(byte[] certificates, byte[] keys) throws IOException {
    try {
      Certificate[] chain =
          CertificateFactory.getInstance("X.509")
              .generateCertificates(new ByteArrayInputStream(certificates))
              .toArray(Certificate[]::new);
      Require.that(chain.length > 0, "%s has no certificate in PEM", certificateFile);
      X509Certificate own = (X509Certificate) chain[0];
      Date now = new Date();
      Require.that(
          !now.after(own.getNotAfter()),
          "the certificate in %s has ended at %s",
          certificateFile,
          own.getNotAfter().toInstant());
      Require.that(
          !now.before(own.getNotBefore()),
          "the certificate in %s begins at %s only",
          certificateFile,
          own.getNotBefore().toInstant());
      PrivateKey key = key(keys, own.getPublicKey().getAlgorithm());
      Require.that(
          fits(key, own),
          "the key in %s is not that of the certificate in %s",
          keyFile,
          certificateFile);
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(null, null);
      store.setKeyEntry(ALIAS, key, IN_MEMORY.toCharArray(), chain);
      return store;
    } catch (CertificateException e) {
      throw Require.refusal("%s has no certificate in PEM", certificateFile);
    } catch (GeneralSecurityException e) {
      throw new IllegalArgumentException(
          "this Java cannot use the certificate: " + e.getMessage(), e);
    }
  }

  private static Instant endOf(KeyStore store) {
    try {
      return ((X509Certificate) store.getCertificate(ALIAS)).getNotAfter().toInstant();
    } catch (KeyStoreException e) {
      throw new IllegalStateException(e); // it is loaded
    }
  }

  private PrivateKey key(byte[] bytes, String algorithm) throws GeneralSecurityException {
    Matcher block = KEY.matcher(new String(bytes, StandardCharsets.ISO_8859_1));
    boolean found = block.find();
    Require.that(
        found && block.group(1).equals("PRIVATE KEY"),
        "%s has %s, expected an unencrypted PRIVATE KEY in PEM, as openssl pkey -in %s -out FILE writes it",
        keyFile,
        found ? "the form " + block.group(1) : "no key in PEM",
        ShellWord.quoted(keyFile.toString()));
    try {
      byte[] der = Base64.getMimeDecoder().decode(block.group(2));
      return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(der));
    } catch (GeneralSecurityException | IllegalArgumentException _) {
      throw Require.refusal(
          "%s has no key of the kind of the certificate in %s, %s",
          keyFile, certificateFile, algorithm);
    }
  }

  /** Whether a signature of the key is one of the certificate's. */
  private static boolean fits(PrivateKey key, X509Certificate certificate)
      throws GeneralSecurityException {
    String algorithm =
        switch (key.getAlgorithm()) {
          case "RSA" -> "SHA256withRSA";
          case "EC" -> "SHA256withECDSA";
          default -> key.getAlgorithm();
        };
    byte[] text = {1, 2, 3};
    Signature signature = Signature.getInstance(algorithm);
    signature.initSign(key);
    signature.update(text);
    byte[] signed = signature.sign();
    signature.initVerify(certificate.getPublicKey());
    signature.update(text);
    try {
      return signature.verify(signed);
    } catch (GeneralSecurityException _) {
      return false; // a signature of another length
    }
  }

  @Override
  public void close() {
    if (watch != null) {
      watch.interrupt();
    }
  }
}
