package panamoe.harness;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Properties;
import panamoe.bindings.Moe;
import panamoe.bindings.NativeLibrary;
import picocli.CommandLine.IVersionProvider;

/** What {@code --version} prints: our version and commit, the native library, and Java. */
public final class Version implements IVersionProvider {
  @Override
  public String[] getVersion() throws IOException {
    return new String[] {
      "Panamoe " + built(),
      "native library: " + NativeLibrary.file().map(Version::ofLibrary).orElse("none"),
      "Java: " + Runtime.version() + " in " + System.getProperty("java.home")
    };
  }

  /** The version and the commit of this build. */
  public static String built() throws IOException {
    return number() + ", commit " + commit();
  }

  /** The version of this build. */
  public static String number() throws IOException {
    return properties().getProperty("version");
  }

  /** The commit of this build. */
  public static String commit() throws IOException {
    return properties().getProperty("commit");
  }

  /** The day of that commit, ISO 8601 in UTC; empty if it is unknown. */
  public static String date() throws IOException {
    return properties().getProperty("date");
  }

  private static Properties properties() throws IOException {
    Properties built = new Properties();
    try (InputStream resource = Version.class.getResourceAsStream("version.properties")) {
      built.load(resource);
    }
    return built;
  }

  private static String ofLibrary(Path file) {
    return file + ", ABI " + Moe.moe_abi_version();
  }
}
