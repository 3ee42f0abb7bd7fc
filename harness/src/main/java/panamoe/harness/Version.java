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
    Properties built = new Properties();
    try (InputStream resource = Version.class.getResourceAsStream("version.properties")) {
      built.load(resource);
    }
    return built.getProperty("version") + ", commit " + built.getProperty("commit");
  }

  private static String ofLibrary(Path file) {
    return file + ", ABI " + Moe.moe_abi_version();
  }
}
