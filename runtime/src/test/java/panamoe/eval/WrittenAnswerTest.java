package panamoe.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WrittenAnswerTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "  The  Nile. | nile",
        "An_apple, a pear and the plum! | apple pear and plum",
        "Theatre in Athens | theatre in athens",
        "O\u2019Neill\u00b4s | o neill s",
        "U.S.A. | u s",
        "Ünï — Städte | ünï — städte",
        "the | ``"
      })
  void onlyWordsCount(String written, String normalized) {
    assertEquals(normalized, WrittenAnswer.normalized(written));
  }

  @Test
  void theBestOfTheAnswersCounts() {
    List<String> right = List.of("River Nile", "Nile");
    assertTrue(WrittenAnswer.matches(" the Nile.", right));
    assertFalse(WrittenAnswer.matches(" the Nile river", right));
    assertEquals(1, WrittenAnswer.f1("nile", right));
    assertEquals(1, WrittenAnswer.f1("the Nile river", right));
    assertEquals(0.5, WrittenAnswer.f1("nile nile delta", right)); // once each: 2 * 1 / (3 + 1)
    assertEquals(0, WrittenAnswer.f1("", right));
    assertEquals(0, WrittenAnswer.f1("Amazon", right));
  }

  @Test
  void eachTaskHasExamplesOfItsOwnThatTheSeedDraws() {
    List<Task> examples =
        IntStream.range(0, 30).<Task>mapToObj(i -> new Task.LastWord("one w" + i)).toList();
    Task task = new Task.LastWord("two words");
    Shots shots = new Shots(examples, 3, 5);
    String first = shots.before(task, 0).solved();
    assertEquals(first, shots.before(task, 0).solved());
    assertNotEquals(first, shots.before(task, 1).solved());
    assertNotEquals(first, new Shots(examples, 3, 6).before(task, 0).solved());
    Set<String> parts = List.of(first.split("\n\n")).stream().collect(Collectors.toSet());
    assertEquals(4, parts.size(), first);
    assertTrue(first.endsWith("\n\ntwo words"), first);
    assertEquals(task, Shots.NONE.before(task, 0));
  }
}
