package panamoe.harness.data;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import panamoe.eval.Task;
import panamoe.harness.corpus.LanguageLabels;

/** Makes tasks from texts in several languages; deterministic for a seed. */
final class TaskMaker {
  private static final int CHOICES = 4;

  /** Characters of a context and of a continuation in a language task. */
  private static final int CONTEXT = 200;

  private static final int CONTINUATION = 60;

  private static final Pattern SENTENCE_END = Pattern.compile("(?<=[.!?])\\s+");

  /** A sentence that begins with a capital, ends with a word of letters, and is not a heading. */
  private static final Predicate<String> SENTENCE =
      Pattern.compile("\\p{Lu}[^\\n]{40,240}\\s\\p{L}{3,}[.!?]").asMatchPredicate();

  /** A passage split between two words; the blank belongs to the continuation. */
  private record Cut(String before, String after) {}

  private final Map<String, List<String>> passages = new TreeMap<>();
  private final Random random;

  /**
   * @param passages in languages of {@link LanguageLabels}; others are left out
   */
  TaskMaker(List<String> passages, long seed) {
    LanguageLabels labels = new LanguageLabels();
    for (String passage : passages) {
      String language = labels.label(passage);
      if (!language.equals(LanguageLabels.UNKNOWN)) {
        this.passages.computeIfAbsent(language, _ -> new ArrayList<>()).add(passage);
      }
    }
    this.random = new Random(seed);
  }

  /** Which continuation is in the context's language; none if there is only one language. */
  List<Task> languages() {
    Map<String, List<Cut>> cuts = new TreeMap<>();
    passages.forEach(
        (language, texts) -> {
          List<Cut> ofLanguage =
              texts.stream()
                  .filter(text -> text.length() > CONTEXT + 2 * CONTINUATION)
                  .map(TaskMaker::cut)
                  .toList();
          if (!ofLanguage.isEmpty()) {
            cuts.put(language, ofLanguage);
          }
        });
    List<Task> tasks = new ArrayList<>();
    cuts.forEach(
        (language, ofLanguage) -> {
          for (Cut cut : ofLanguage) {
            List<String> others = new ArrayList<>(cuts.keySet());
            others.remove(language);
            Collections.shuffle(others, random);
            List<String> wrong =
                others.stream()
                    .limit(CHOICES - 1)
                    .map(other -> pick(cuts.get(other)).after())
                    .toList();
            if (!wrong.isEmpty()) {
              tasks.add(choice(cut.before(), cut.after(), wrong));
            }
          }
        });
    return shuffled(tasks);
  }

  List<Task> lastWords() {
    List<Task> tasks = new ArrayList<>();
    sentences().values().forEach(tasks::addAll);
    return shuffled(tasks);
  }

  /** Which word ends a sentence; the wrong words end other sentences of its language. */
  List<Task> words() {
    List<Task> tasks = new ArrayList<>();
    for (List<Task.LastWord> ofLanguage : sentences().values()) {
      List<String> words = ofLanguage.stream().map(Task.LastWord::word).distinct().toList();
      for (Task.LastWord sentence : ofLanguage) {
        List<String> others = new ArrayList<>(words);
        others.removeIf(word -> word.equalsIgnoreCase(sentence.word()));
        if (others.size() >= CHOICES - 1) {
          Collections.shuffle(others, random);
          tasks.add(choice(sentence.context(), sentence.word(), others.subList(0, CHOICES - 1)));
        }
      }
    }
    return shuffled(tasks);
  }

  /** Last words by language, without the final mark. */
  private Map<String, List<Task.LastWord>> sentences() {
    Map<String, List<Task.LastWord>> sentences = new TreeMap<>();
    passages.forEach(
        (language, texts) ->
            sentences.put(
                language,
                texts.stream()
                    .flatMap(SENTENCE_END::splitAsStream)
                    .filter(SENTENCE)
                    .map(text -> new Task.LastWord(text.substring(0, text.length() - 1)))
                    .toList()));
    return sentences;
  }

  private static Cut cut(String text) {
    int middle = border(text, CONTEXT);
    return new Cut(
        text.substring(0, middle), text.substring(middle, border(text, middle + CONTINUATION)));
  }

  /** The first blank from {@code from} on; {@code from} itself if none is near. */
  private static int border(String text, int from) {
    int blank = text.indexOf(' ', from);
    return blank < 0 || blank > from + CONTINUATION / 2 ? from : blank;
  }

  private Task choice(String context, String right, List<String> wrong) {
    List<String> choices = new ArrayList<>(wrong);
    int answer = random.nextInt(choices.size() + 1);
    choices.add(answer, right);
    return new Task.Choice(context, choices, answer);
  }

  private <T> T pick(List<T> list) {
    return list.get(random.nextInt(list.size()));
  }

  private List<Task> shuffled(List<Task> tasks) {
    Collections.shuffle(tasks, random);
    return tasks;
  }
}
