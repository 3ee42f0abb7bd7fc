package panamoe.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;

class MissingArtifactTest {
  private static final String CLASS_PATH =
      System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));

  /** Says what it lacks, the first time and every further time. */
  public static final class Reader implements Callable<String> {
    @Override
    public String call() throws IOException {
      try {
        return StrictJson.tree("{}".getBytes(StandardCharsets.UTF_8)).toString();
      } catch (LinkageError e) {
        return MissingArtifact.sentence(e).orElse(e.toString());
      }
    }
  }

  @Test
  void aJarThatIsNotThereIsNamedEachTime() throws Exception {
    assertEquals("{}", new Reader().call());
    try (URLClassLoader bare = without("jackson-")) {
      Callable<?> reader = reader(bare);
      assertNames(
          "jackson-(core|databind)",
          reader.call()); // the JVM names whichever class it looked for first
      assertNames("jackson-(core|databind)", reader.call());
    }
  }

  @Test
  void aJarThatIsThereIsNotNamed() throws Exception {
    try (URLClassLoader bare = without("jackson-databind")) {
      assertNames("jackson-databind", reader(bare).call());
    }
  }

  @Test
  void otherErrorsAreNone() {
    assertEquals(
        Optional.empty(),
        MissingArtifact.sentence(new NoClassDefFoundError("com/example/Missing")));
    assertEquals(
        Optional.empty(), MissingArtifact.sentence(new UnsatisfiedLinkError("no library")));
    assertEquals(
        Optional.empty(),
        MissingArtifact.sentence(
            new NoClassDefFoundError("Could not initialize class jcuda.JCuda")));
  }

  private static void assertNames(String artifact, Object sentence) {
    String expected =
        "the class path has no tools\\.jackson\\.[\\w.$]+: add tools\\.jackson\\.core:%s to it";
    assertTrue(sentence.toString().matches(expected.formatted(artifact)), sentence.toString());
  }

  private static Callable<?> reader(ClassLoader loader) throws ReflectiveOperationException {
    return (Callable<?>) loader.loadClass(Reader.class.getName()).getConstructor().newInstance();
  }

  /** These tests' class path, less the jars of that name. */
  private static URLClassLoader without(String jar) throws IOException {
    List<URL> places = new ArrayList<>();
    for (String place : CLASS_PATH.split(File.pathSeparator)) {
      if (!Path.of(place).getFileName().toString().startsWith(jar)) {
        places.add(Path.of(place).toUri().toURL());
      }
    }
    return new URLClassLoader(places.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
  }
}
