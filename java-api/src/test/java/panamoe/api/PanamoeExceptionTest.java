package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import panamoe.api.internal.Failures;

/** What of the runtime's failures reaches a caller. */
class PanamoeExceptionTest {
  @Test
  void aJarThatTheClassPathLacksIsNamed() {
    NoClassDefFoundError bare = new NoClassDefFoundError("tools/jackson/databind/JsonNode");
    NoClassDefFoundError named = assertThrows(NoClassDefFoundError.class, () -> translate(bare));
    assertEquals(
        "the class path has no tools.jackson.databind.JsonNode: add"
            + " tools.jackson.core:jackson-databind to it",
        named.getMessage());
    assertSame(bare, named.getCause());
  }

  @Test
  void otherErrorsStayAsTheyAre() {
    LinkageError other = new LinkageError("something else here");
    assertSame(other, assertThrows(LinkageError.class, () -> translate(other)));
    OutOfMemoryError full = new OutOfMemoryError("full");
    assertSame(full, assertThrows(OutOfMemoryError.class, () -> translate(full)));
  }

  private static void translate(Error error) {
    Failures.translating(
        () -> {
          throw error;
        });
  }
}
