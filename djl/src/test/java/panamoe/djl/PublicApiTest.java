package panamoe.djl;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.Member;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * {@code docs/api.txt} lists the public API of the modules java-api, text and djl. Its first line
 * is the version in which it may only grow (docs/versioning.md).
 */
class PublicApiTest {
  private static final Path LIST = Path.of("../docs/api.txt");

  @Test
  void theListIsWholeAndLosesNothing() throws Exception {
    List<String> recorded = Files.readAllLines(LIST);
    List<String> now = new ArrayList<>(List.of(line()));
    now.addAll(publicApi());
    if (recorded.getFirst().equals(line())) {
      SortedSet<String> gone = new TreeSet<>(recorded);
      now.forEach(gone::remove);
      assertEquals(Set.of(), gone, "callers of " + line() + " need this: docs/versioning.md");
    }
    if (Boolean.getBoolean("panamoe.api.record")) {
      Files.write(LIST, now);
    }
    assertEquals(
        String.join("\n", now),
        String.join("\n", Files.readAllLines(LIST)),
        "the public API is not what docs/api.txt lists; ci/release.d/api lists it anew");
  }

  /** The versions with one API: 0.4 of 0.4.1, but 2 of 2.4.1. */
  private static String line() throws IOException {
    String pom = Files.readString(Path.of("../pom.xml"));
    String[] version = pom.split("</?version>", 3)[1].split("\\.");
    return "Panamoe " + (version[0].equals("0") ? "0." + version[1] : version[0]);
  }

  private static SortedSet<String> publicApi() throws IOException, ClassNotFoundException {
    SortedSet<String> api = new TreeSet<>();
    for (String place : List.of("java-api panamoe.api", "text panamoe.text", "djl panamoe.djl")) {
      String module = place.split(" ")[0];
      String inside = place.split(" ")[1];
      Path classes = Path.of("..", module, "target", "classes", inside.replace('.', '/'));
      try (Stream<Path> files = Files.list(classes)) {
        for (Path file : files.filter(file -> file.toString().endsWith(".class")).toList()) {
          String name = file.getFileName().toString().replace(".class", "");
          add(Class.forName(inside + "." + name, false, PublicApiTest.class.getClassLoader()), api);
        }
      }
    }
    return api;
  }

  private static void add(Class<?> type, SortedSet<String> api) {
    if (type.isAnonymousClass()
        || !Stream.<Class<?>>iterate(type, Objects::nonNull, Class::getDeclaringClass)
            .allMatch(outer -> isForCallers(outer.getModifiers()))) {
      return;
    }
    api.add(type.toGenericString());
    if (type.getSuperclass() != null && type.getSuperclass() != Object.class) {
      api.add(type.getName() + " extends " + type.getGenericSuperclass().getTypeName());
    }
    for (Type above : type.getGenericInterfaces()) {
      api.add(type.getName() + " implements " + above.getTypeName());
    }
    Stream.of(type.getDeclaredFields())
        .filter(PublicApiTest::isForCallers)
        .map(Field::toGenericString)
        .forEach(api::add);
    Stream.<Executable>concat(
            Stream.of(type.getDeclaredConstructors()), Stream.of(type.getDeclaredMethods()))
        .filter(PublicApiTest::isForCallers)
        .map(Executable::toGenericString)
        .forEach(api::add);
  }

  private static boolean isForCallers(Member member) {
    return isForCallers(member.getModifiers()) && !member.isSynthetic();
  }

  private static boolean isForCallers(int modifiers) {
    return Modifier.isPublic(modifiers) || Modifier.isProtected(modifiers);
  }
}
