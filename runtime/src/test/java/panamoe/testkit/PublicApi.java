package panamoe.testkit;

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
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * {@code docs/api.txt} lists the public API. Its first line is the version in which it may only
 * grow (docs/versioning.md).
 */
public final class PublicApi {
  private static final Path LIST = Path.of("../docs/api.txt");

  private PublicApi() {}

  /**
   * Compares the list with the classes of modules, or records them.
   *
   * @param packages by module
   * @param own whether a line of the list is of these modules
   */
  public static void requireListed(Map<String, String> packages, Predicate<String> own)
      throws Exception {
    List<String> recorded = Files.readAllLines(LIST);
    SortedSet<String> now = publicApi(packages);
    if (recorded.getFirst().equals(line())) {
      SortedSet<String> gone = new TreeSet<>(recorded.subList(1, recorded.size()));
      gone.removeIf(own.negate());
      gone.removeAll(now);
      assertEquals(Set.of(), gone, "callers of " + line() + " need this: docs/versioning.md");
    }
    SortedSet<String> all = new TreeSet<>(recorded.subList(1, recorded.size()));
    all.removeIf(own);
    all.addAll(now);
    List<String> whole = new ArrayList<>(List.of(line()));
    whole.addAll(all);
    if (Boolean.getBoolean("panamoe.api.record")) {
      Files.write(LIST, whole);
    }
    assertEquals(
        String.join("\n", whole),
        String.join("\n", Files.readAllLines(LIST)),
        "the public API is not what docs/api.txt lists; ci/release.d/api lists it anew");
  }

  /** The versions with one API: 0.4 of 0.4.1, but 2 of 2.4.1. */
  private static String line() throws IOException {
    String pom = Files.readString(Path.of("../pom.xml"));
    String[] version = pom.split("</?version>", 3)[1].split("\\.");
    return "Panamoe " + (version[0].equals("0") ? "0." + version[1] : version[0]);
  }

  private static SortedSet<String> publicApi(Map<String, String> packages)
      throws IOException, ClassNotFoundException {
    SortedSet<String> api = new TreeSet<>();
    for (Map.Entry<String, String> module : packages.entrySet()) {
      String inside = module.getValue();
      Path classes = Path.of("..", module.getKey(), "target/classes", inside.replace('.', '/'));
      try (Stream<Path> files = Files.list(classes)) {
        for (Path file : files.filter(file -> file.toString().endsWith(".class")).toList()) {
          String name = file.getFileName().toString().replace(".class", "");
          add(Class.forName(inside + "." + name, false, PublicApi.class.getClassLoader()), api);
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
        .filter(PublicApi::isForCallers)
        .map(Field::toGenericString)
        .forEach(api::add);
    Stream.<Executable>concat(
            Stream.of(type.getDeclaredConstructors()), Stream.of(type.getDeclaredMethods()))
        .filter(PublicApi::isForCallers)
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
