package panamoe.harness.serve;

import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import panamoe.harness.ShellWord;
import panamoe.harness.help.OptionGroup;
import panamoe.harness.serve.http.Access;
import panamoe.harness.serve.http.AllowedHosts;
import panamoe.harness.serve.http.ApiKeys;
import panamoe.harness.serve.http.Limits;
import panamoe.harness.serve.http.TlsCertificate;
import panamoe.harness.serve.log.AccessLog;
import panamoe.harness.serve.log.Metrics;
import panamoe.harness.serve.log.RequestLog;
import panamoe.harness.serve.model.ServedModel;
import panamoe.io.Words;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options for a server's address and access: {@code @Mixin ListenOptions listenOptions}. */
@OptionGroup("Where it listens")
final class ListenOptions {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      defaultValue = "127.0.0.1",
      description =
          "The address to listen at; 0.0.0.0 for all of this machine's. Default: ${DEFAULT-VALUE}.")
  private String host;

  @Option(
      names = "--port",
      paramLabel = "N",
      defaultValue = "8080",
      description = "The port; 0 for any free one. Default: ${DEFAULT-VALUE}.")
  private int port;

  @Option(
      names = "--api-key-file",
      paramLabel = "FILE",
      description = "A file of keys, one a line: who has none of them is refused.")
  private Path keyFile;

  @Option(
      names = "--allowed-host",
      paramLabel = "NAME",
      split = ",",
      description =
          "Without keys: another name by which the server may be asked, as in http://NAME.")
  private List<String> allowedHosts = List.of();

  @Option(
      names = "--cors-origin",
      paramLabel = "ORIGIN",
      split = ",",
      description =
          "Another site whose pages may use the server from a browser, as https://chat.example.org.")
  private List<String> origins = List.of();

  @Option(
      names = "--tls-certificate",
      paramLabel = "FILE",
      description = "HTTPS: the server's certificate, then its issuers', in PEM.")
  private Path certificate;

  @Option(
      names = "--tls-key",
      paramLabel = "FILE",
      description = "The certificate's key in PEM, not encrypted.")
  private Path certificateKey;

  /** Who may use the server. */
  Access access() throws IOException {
    for (String name : allowedHosts) {
      if (!AllowedHosts.isName(name)) {
        throw usage("--allowed-host is '" + name + "', expected a name as in http://NAME", null);
      }
    }
    for (String origin : origins) {
      if (!Access.isOrigin(origin)) {
        throw usage(
            "--cors-origin is '"
                + origin
                + "', expected an origin as browsers send it, such as https://chat.example.org",
            null);
      }
    }
    List<String> names = new ArrayList<>(allowedHosts);
    names.add(host);
    return new Access(
        keyFile == null ? ApiKeys.NONE : ApiKeys.read(keyFile),
        new AllowedHosts(names),
        Set.copyOf(origins));
  }

  /**
   * The certificate of TLS; null for HTTP without it.
   *
   * @param log receives messages for the operator
   */
  TlsCertificate certificate(Consumer<String> log) throws IOException {
    if (certificate == null && certificateKey == null) {
      return null;
    }
    if (certificate == null || certificateKey == null) {
      throw usage("--tls-certificate FILE and --tls-key FILE go together", null);
    }
    TlsCertificate tls = new TlsCertificate(certificate, certificateKey, log);
    warnOfReaders(certificateKey, log);
    return tls;
  }

  /**
   * Starts a server at the address.
   *
   * @param tls the certificate; null for HTTP without TLS
   * @param requests logs completions; null for no log
   * @param accesses logs requests; null for no log
   * @param log receives messages for the operator
   * @throws ParameterException if this machine does not have the address
   * @throws IOException with a one-sentence message, if the address is taken
   */
  ApiServer listen(
      TlsCertificate tls,
      ServedModel served,
      Limits limits,
      Access access,
      Metrics metrics,
      RequestLog requests,
      AccessLog accesses,
      Consumer<String> log)
      throws IOException {
    try {
      InetSocketAddress address = new InetSocketAddress(InetAddress.getByName(host), port);
      warn(address.getAddress(), log);
      return new ApiServer(address, tls, served, limits, access, metrics, requests, accesses, log);
    } catch (UnknownHostException e) {
      throw usage("--host " + host + " is no address of this machine", e);
    } catch (IllegalArgumentException e) {
      throw usage("--port is " + port + ", expected 0 to 65535", e);
    } catch (BindException e) {
      throw new IOException(
          Words.of(
              "cannot listen at %s, port %s: %s; --port and --host name others",
              host, port, e.getMessage()),
          e);
    }
  }

  private void warn(InetAddress address, Consumer<String> log) throws IOException {
    if (keyFile == null && !address.isLoopbackAddress()) {
      log.accept(
          Words.of(
              "warning: --host %s without --api-key-file: whoever reaches it can use the server",
              host));
    }
    if (keyFile != null) {
      warnOfReaders(keyFile, log);
    }
  }

  private static void warnOfReaders(Path keys, Consumer<String> log) throws IOException {
    PosixFileAttributeView view = Files.getFileAttributeView(keys, PosixFileAttributeView.class);
    if (view != null
        && view.readAttributes().permissions().contains(PosixFilePermission.OTHERS_READ)) {
      log.accept(
          Words.of(
              "warning: every user of this machine can read the keys in %s; chmod o-rwx %s keeps them out",
              keys, ShellWord.quoted(keys.toString())));
    }
  }

  /**
   * The URL of the server.
   *
   * @param bound the port
   */
  String url(int bound) {
    String scheme = certificate == null ? "http" : "https";
    return scheme + "://" + (host.contains(":") ? "[" + host + "]" : host) + ":" + bound;
  }

  private ParameterException usage(String message, Exception cause) {
    return new ParameterException(command.commandLine(), message, cause);
  }
}
