package panamoe.peers;

/**
 * A text that libllama writes greedily.
 *
 * @param ids its tokens
 * @param logits [V] that chose each
 * @param nanos from the first token to the last
 */
record GreedyText(int[] ids, float[][] logits, long nanos) {
  /**
   * Writes it.
   *
   * @param text without tokens, with room for the prompt and {@code count} more
   * @param vocabulary V
   */
  static GreedyText after(int[] prompt, int count, LlamaTexts text, int vocabulary) {
    int[] ids = new int[count];
    float[][] logits = new float[count][];
    long first = 0;
    for (int i = 0; i < prompt.length; i++) {
      text.add(prompt[i], 0, i, i == prompt.length - 1);
    }
    for (int i = 0; i < count; i++) {
      text.decode();
      first = i == 0 ? System.nanoTime() : first;
      logits[i] = text.logits(i == 0 ? prompt.length - 1 : 0, vocabulary);
      ids[i] = largest(logits[i]);
      text.add(ids[i], 0, prompt.length + i, true);
    }
    return new GreedyText(ids, logits, System.nanoTime() - first);
  }

  private static int largest(float[] logits) {
    int largest = 0;
    for (int i = 1; i < logits.length; i++) {
      largest = logits[i] > logits[largest] ? i : largest;
    }
    return largest;
  }
}
