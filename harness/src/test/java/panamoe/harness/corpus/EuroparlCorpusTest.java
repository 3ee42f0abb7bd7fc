package panamoe.harness.corpus;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class EuroparlCorpusTest {
  @Test
  void isTheWholeCorpusAsPlainLines() {
    List<String> documents = EuroparlCorpus.documents();
    assertEquals(17_591, documents.size());
    long bytes =
        documents.stream().mapToLong(text -> text.getBytes(StandardCharsets.UTF_8).length).sum();
    assertEquals(19_207_639, bytes);
    assertTrue(
        documents.stream()
            .noneMatch(text -> text.contains("\t") || text.contains("  ") || text.isBlank()));
    assertTrue(
        documents
            .getFirst()
            .startsWith("Istituzioni europee proteggerlo in tutti i campi.\nInvitiamo"));
  }

  @Test
  void leavesTitleDateAndWhatIsLeftOfASentenceOut() {
    assertEquals(
        "Det är bra.\nTack & hej",
        EuroparlCorpus.document("(1)\t2004-03-31\t. , Det är bra.   Tack &amp; hej "));
    assertEquals("", EuroparlCorpus.document("title\t2004-03-31\t ."));
  }
}
