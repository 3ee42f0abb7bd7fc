package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.InputStream;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.internal.OneVersion;
import panamoe.backend.Backends;
import panamoe.bindings.NativeLibrary;

class OneVersionTest {
  @TempDir Path folder;

  @Test
  void jarsOfTwoVersionsAreNamed() throws Exception {
    URL bindings = jar(NativeLibrary.class, "0.1.0");
    URL runtime = jar(Backends.class, "0.1.0");
    URL api = jar(Device.class, "0.2.0");
    IncompatibleClassChangeError refused =
        assertThrows(IncompatibleClassChangeError.class, () -> check(bindings, runtime, api));
    assertEquals(
        "the jars of Panamoe have different versions, take all of one: 0.1.0 of %s, 0.1.0 of %s, 0.2.0 of %s"
            .formatted(bindings.getPath(), runtime.getPath(), api.getPath()),
        refused.getMessage());
    assertDoesNotThrow(() -> check(bindings, runtime));
  }

  @Test
  void classesOfACheckoutHaveNoVersion() {
    assertDoesNotThrow(() -> OneVersion.check(Device.class.getClassLoader()));
  }

  private static void check(URL... jars) throws Exception {
    try (URLClassLoader loader = new URLClassLoader(jars, null)) {
      OneVersion.check(loader);
    }
  }

  /** A jar of this version with one class. */
  private URL jar(Class<?> type, String version) throws Exception {
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
    manifest.getMainAttributes().put(Attributes.Name.IMPLEMENTATION_VERSION, version);
    Path file = folder.resolve(type.getSimpleName() + ".jar");
    String name = type.getName().replace('.', '/') + ".class";
    try (OutputStream stream = Files.newOutputStream(file);
        JarOutputStream jar = new JarOutputStream(stream, manifest);
        InputStream classFile = type.getClassLoader().getResourceAsStream(name)) {
      jar.putNextEntry(new JarEntry(name));
      classFile.transferTo(jar);
    }
    return file.toUri().toURL();
  }
}
