package panamoe.lab.study;

/**
 * The paper's claims, two more, and the rules by which they hold. The rules are fixed before any
 * run. <em>Shown</em> means by a test of {@link SeedSample}.
 */
enum Claim {
  S0(
      "The teacher's plateau",
      "trained on 300 billion tokens",
      "The students' teacher is trained until more tokens hardly help it: the premise of S5, S9 and S11.",
      "Bits per byte after twice the tokens are shown to be less than the margin below. Not: they are shown to be lower, and that is not shown."),
  S1(
      "Training cost",
      "5 times",
      "An MoE model is as good as a dense model of four to five times its base's parameters, at a fifth of the"
          + " training cost.",
      "The dense model that reaches the loss of the MoE model with the most experts, found by bisecting its width, costs at least 4 times its training FLOPs a token, which is the end of the search. Partly: at least 1.5 times."),
  S2(
      "Which layers need experts",
      "second half better",
      "Experts in the second half of the layers are clearly better than in the first half.",
      "The second half is shown to be better."),
  S3(
      "A fixed MLP in place of the second expert",
      "equal",
      "Residual-MoE is as good as top-2, with the communication of top-1. (Both compute a second MLP in each MoE"
          + " layer, which top-1 does not.)",
      "At both widths residual is shown to be less than the margin above top-2, and its all-to-all moves half of the bytes. Partly: at one of them, or it is shown to be worse than top-2 and better than top-1."),
  S4(
      "Pyramid-Residual",
      "+0.01 nats with 1/3 of the parameters",
      "PR-MoE is as good as a standard MoE of up to three times its parameters. (Its residual layers compute a"
          + " second MLP, as in the paper.)",
      "PR-MoE is shown to be less than the margin above the standard MoE with many experts. Partly: it is shown to be worse than that one and better than the one with few."),
  S5(
      "Mixture-of-Students, an eighth of the layers less",
      "99.3 %",
      "With staged distillation a student of fewer layers keeps 99.3 % of its teacher's quality, more than"
          + " without a teacher or with one to the end; it has up to 3.7 times fewer parameters than a standard MoE.",
      "Quality is the teacher's bits per byte over the student's. The student whose distillation stops at 70 % is shown to retain 99.3 %, and to be better than the same start without a teacher; the one with a teacher to the end is not shown to be better. Partly: it is shown to be better than the same start without a teacher."),
  S6(
      "Balancing the experts",
      "0.01",
      "An auxiliary loss with the coefficient 0.01 balances the experts without harm to the model. (Here at the"
          + " capacity factor 1; capacity-1.0 is the run with 0.01.)",
      "With 0.01 at most half as many tokens are dropped as with 0, and it is shown to be less than the margin above 0. Partly: one of the two."),
  S7(
      "Capacity",
      "1 is enough",
      "A capacity factor of 1, with which the paper trains and evaluates, is enough.",
      "It is shown to be less than the margin above the dropless model. Partly: it is shown to be worse, by less than 2 %."),
  S8(
      "Inference",
      "2.4 to 4.5 times",
      "PR-MoE with MoS answers 2.4 times (52 billion parameters) to 4.5 times (1.5 trillion) faster than a dense"
          + " model of its quality, and nine times cheaper. (Here one machine, so that cost is time; and PR-MoE, not its student.)",
      "At batch 1 a token takes PR-MoE at most 1/2.4 of the time of the dense model that S1 finds, and PR-MoE is shown to be less than the margin above that model's loss. Partly: at most 1/1.2 of the time."),
  S9(
      "On-policy distillation",
      "not in the paper",
      "A student learns more from a teacher that scores what the student writes than from one that reads the text.",
      "On-policy is shown to be better than staged with the same stop. Not: it is shown to be worse, or less than the margin apart."),
  S10(
      "Pruning by router-weighted activation",
      "not in the paper",
      "Of the experts of a trained model, those that REAP keeps are better than the most used ones.",
      "Without a quarter and without half of the experts the model pruned by REAP is shown to be better. Partly: at one of the two. Not: it is shown to be worse, or less than the margin apart, at both."),
  S11(
      "Mixture-of-Students, a quarter of the layers less",
      "not in the paper",
      "What S5 says, of a student of six of eight layers.",
      "As in S5.");

  private final String title;
  private final String paper;
  private final String words;
  private final String rule;

  Claim(String title, String paper, String words, String rule) {
    this.title = title;
    this.paper = paper;
    this.words = words;
    this.rule = rule;
  }

  String title() {
    return title;
  }

  /** The figure of the paper, for the table of all claims. */
  String paper() {
    return paper;
  }

  String words() {
    return words;
  }

  String rule() {
    return rule;
  }
}
